/*
 * lsn.c
 *		WAL positions as text: "hi/lo", both hexadecimal.
 *
 * Text may come over the network, from PostgreSQL's programs or its files:
 * nothing is skipped in it.
 */
#include "lsn.h"

/* Up to eight hexadecimal digits; moves *text behind them. */
static bool
parse_hex32(const char **text, uint32_t *value)
{
	uint32_t	result = 0;
	int			digits = 0;

	for (;; (*text)++, digits++)
	{
		char		c = **text;
		uint32_t	digit;

		if (c >= '0' && c <= '9')
			digit = (uint32_t) (c - '0');
		else if (c >= 'A' && c <= 'F')
			digit = (uint32_t) (c - 'A' + 10);
		else if (c >= 'a' && c <= 'f')
			digit = (uint32_t) (c - 'a' + 10);
		else
			break;
		if (digits == 8)
			return false;
		result = result << 4 | digit;
	}
	*value = result;
	return digits > 0;
}

bool
pgha_lsn_take(const char **text, pgha_lsn *lsn)
{
	uint32_t	hi;
	uint32_t	lo;

	if (!parse_hex32(text, &hi) || *(*text)++ != '/' || !parse_hex32(text, &lo))
		return false;
	*lsn = (pgha_lsn) hi << 32 | lo;
	return true;
}

pgha_lsn
pgha_lsn_of(const char *text)
{
	pgha_lsn	lsn;

	return pgha_lsn_take(&text, &lsn) ? lsn : 0;
}
