/*
 * text.c
 *		Text of unknown making.
 */
#include "test.h"

#include "../../../src/common/errors.h"
#include "../../../src/common/text.h"

#include <stdlib.h>
#include <string.h>

static void
check_text(const char *in, const char *out)
{
	static int	number = 0;
	char	   *text = copy(in);

	pgha_text_clean(text);
	ok(strcmp(text, out) == 0, "text %d is clean", ++number);
	free(text);
}

static char *
put_character(char *to, unsigned int number)
{
	if (number < 0x80)
		*to++ = (char) number;
	else if (number < 0x800)
	{
		*to++ = (char) (0xC0 | number >> 6);
		*to++ = (char) (0x80 | (number & 0x3F));
	}
	else
	{
		*to++ = (char) (0xE0 | number >> 12);
		*to++ = (char) (0x80 | (number >> 6 & 0x3F));
		*to++ = (char) (0x80 | (number & 0x3F));
	}
	return to;
}

/* Each character of a class, alone between others; one way for all that is shown. */
static void
check_classes(void)
{
	static const struct
	{
		const char *name;
		unsigned int first;
		unsigned int last;
		bool		shown;
	}			class[] =
	{
		{"C0 in front of tab", 0x01, 0x08, false},
		{"C0 behind line break", 0x0B, 0x1F, false},
		{"ASCII", 0x20, 0x7E, true},
		{"DEL and C1", 0x7F, 0x9F, false},
		{"Latin", 0xA0, 0x61B, true},
		{"Arabic letter mark", 0x61C, 0x61C, false},
		{"up to the marks", 0x61D, 0x200D, true},
		{"LRM and RLM", 0x200E, 0x200F, false},
		{"between the marks", 0x2010, 0x2027, true},
		{"separators and embeddings", 0x2028, 0x202E, false},
		{"up to the isolates", 0x202F, 0x2065, true},
		{"isolates", 0x2066, 0x2069, false},
		{"up to the surrogates", 0x206A, 0xD7FF, true},
		{"surrogates", 0xD800, 0xDFFF, false},
		{"up to the last of three bytes", 0xE000, 0xFFFF, true},
	};

	for (size_t i = 0; i < sizeof(class) / sizeof(class[0]); i++)
	{
		unsigned int wrong = 0;

		for (unsigned int number = class[i].first; number <= class[i].last; number++)
		{
			char		text[8] = "a";
			char		before[8];
			char	   *end = put_character(text + 1, number);

			strcpy(end, "b");
			strcpy(before, text);
			(void) pgha_shown(text, false);
			if (class[i].shown ? strcmp(text, before) != 0 :
				text[0] != 'a' || text[1] != '?' || text[strlen(text) - 1] != 'b' || strspn(text + 1, "?") != strlen(text) - 2)
				wrong = number;
		}
		ok(wrong == 0, "%s: %s (U+%04X)", class[i].name, class[i].shown ? "shown" : "not shown", wrong);
	}

	/* A byte that begins or continues no character. */
	for (unsigned int byte = 0x80; byte <= 0xFF; byte++)
	{
		char		text[] = {(char) byte, 'b', '\0'};

		if (strcmp(pgha_shown(text, false), "?b") != 0)
			ok(false, "byte %02X is not shown", byte);
	}
}

void
test_text(void)
{
	check_text("", "");
	check_text("plain\ntwo lines", "plain\ntwo lines");
	check_text("r\xc3\xa9pertoire \xe2\x82\xac \xf0\x9f\x90\x98", "r\xc3\xa9pertoire \xe2\x82\xac \xf0\x9f\x90\x98");
	check_text("r\xe9pertoire \xff", "r?pertoire ?");
	check_text("a\tb\x1b[31m\x07", "a b?[31m?");
	check_text("\x7f\xc2\x9b\xc2\x85", "???");
	check_text("\xe2\x80\xae" "abc\xe2\x81\xa6", "?abc?");
	check_classes();

	/* Overlong, a surrogate, above the last one. */
	check_text("\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80", "?????????");

	/* Cut off at the end; in the middle it is only wrong. */
	check_text("ab\xc3", "ab");
	check_text("ab\xe2\x82", "ab");
	check_text("ab\xf0\x9f\x90", "ab");
	check_text("\xe2\x82x", "??x");
}
