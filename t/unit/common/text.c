/*
 * text.c
 *		Text of unknown making.
 */
#include "test.h"

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

	/* Overlong, a surrogate, above the last one. */
	check_text("\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80", "?????????");

	/* Cut off at the end; in the middle it is only wrong. */
	check_text("ab\xc3", "ab");
	check_text("ab\xe2\x82", "ab");
	check_text("ab\xf0\x9f\x90", "ab");
	check_text("\xe2\x82x", "??x");
}
