/*
 * tap.c
 *		What the tests report with, and their chance.
 */
#include "test.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int	tests;
static int	failures;

void
ok(bool passed, const char *format,...)
{
	va_list		args;

	printf("%sok %d - ", passed ? "" : "not ", ++tests);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	if (!passed)
		failures++;
}

/* splitmix64: the same numbers everywhere for a seed. */
static uint64_t random_state;

void
random_begin(uint64_t seed)
{
	random_state = seed;
}

uint64_t
random_number(void)
{
	uint64_t	z = (random_state += UINT64_C(0x9E3779B97F4A7C15));

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

uint64_t
random_below(uint64_t limit)
{
	return random_number() % limit;
}

char *
copy(const char *text)
{
	size_t		size = strlen(text) + 1;
	char	   *result = malloc(size);

	if (result == NULL)
		abort();
	memcpy(result, text, size);
	return result;
}

/* Ends the stream; false if a test failed. */
bool
done_testing(void)
{
	printf("1..%d\n", tests);
	return failures == 0;
}
