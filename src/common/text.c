/*
 * text.c
 *		Text of unknown making, before it is shown, kept or sent.
 *
 * What programs print is bytes: of any encoding, cut anywhere, with terminal
 * sequences.  A server refuses a message that holds one wrong byte as a whole,
 * and a terminal obeys.
 */
#include "text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/*
 * Length of the UTF-8 character at `text`, and its number; 0 if there is none.
 * *cut: it would be one if the text did not end within it.
 */
static size_t
take_character(const unsigned char *text, uint32_t *number, bool *cut)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t		length = text[0] < 0x80 ? 1 : (text[0] & 0xE0) == 0xC0 ? 2 : (text[0] & 0xF0) == 0xE0 ? 3 :
		(text[0] & 0xF8) == 0xF0 ? 4 : 0;

	*cut = false;
	if (length <= 1)
	{
		*number = text[0];
		return length;
	}
	*number = text[0] & (0x7Fu >> length);
	for (size_t i = 1; i < length; i++)
	{
		if ((text[i] & 0xC0) != 0x80)
		{
			*cut = text[i] == '\0';
			return 0;
		}
		*number = *number << 6 | (text[i] & 0x3Fu);
	}
	return *number >= least[length] && *number <= 0x10FFFF && (*number < 0xD800 || *number > 0xDFFF) ? length : 0;
}

static bool
is_shown(uint32_t number)
{
	return number == '\n' ||
		(number >= ' ' && number != 0x7F && !(number >= 0x80 && number <= 0x9F) &&
		 number != 0x61C && number != 0x200E && number != 0x200F && number != 0x2028 && number != 0x2029 &&
		 !(number >= 0x202A && number <= 0x202E) && !(number >= 0x2066 && number <= 0x2069));
}

void
pgha_text_clean(char *text)
{
	const unsigned char *from = (const unsigned char *) text;
	char	   *to = text;

	while (*from != '\0')
	{
		uint32_t	number;
		bool		cut;
		size_t		length = take_character(from, &number, &cut);

		if (cut)
			break;
		if (length > 0 && is_shown(number))
		{
			memmove(to, from, length);
			to += length;
		}
		else
			*to++ = length > 0 && number == '\t' ? ' ' : '?';
		from += length > 0 ? length : 1;
	}
	*to = '\0';
}
