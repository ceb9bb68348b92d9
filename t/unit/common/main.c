/*
 * main.c
 *		The program common_test: unit tests of src/common, and of some of src/core.
 *
 * usage: common_test [SEED [ROUNDS]]
 *
 * TAP on stdout; exit code 1 if a test failed.  The last tests feed damaged and
 * random text to the parsers: they print the seed.
 */
#include "test.h"

#include <stdlib.h>
#include <time.h>

int
main(int argc, char **argv)
{
	uint64_t	seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64_t) time(NULL);
	long		rounds = argc > 2 ? strtol(argv[2], NULL, 10) : 20000;

	test_fields();
	test_text();
	test_numbers();
	test_members();
	test_conninfo();
	test_address_spec();
	test_listen();
	test_presence();
	test_words();
	test_report();
	test_history();
	test_core();
	test_explain();
	test_voting();
	test_damage(seed, rounds);
	return done_testing() ? 0 : 1;
}
