/*
 * test.h
 *		The tests of src/common, and what they report with (tap.c).
 *
 * Texts are in buffers of their exact size (copy()): built with
 * -fsanitize=address,undefined, a read past the end is seen.
 */
#ifndef TEST_H
#define TEST_H

#include <stdbool.h>
#include <stdint.h>

extern void ok(bool passed, const char *format,...)
			__attribute__((format(printf, 2, 3)));
extern bool done_testing(void);
extern char *copy(const char *text);

extern void random_begin(uint64_t seed);
extern uint64_t random_number(void);
extern uint64_t random_below(uint64_t limit);

extern void test_fields(void);
extern void test_text(void);
extern void test_numbers(void);
extern void test_members(void);
extern void test_conninfo(void);
extern void test_address_spec(void);
extern void test_listen(void);
extern void test_presence(void);
extern void test_words(void);
extern void test_report(void);
extern void test_history(void);
extern void test_core(void);
extern void test_explain(void);
extern void test_voting(void);
extern void test_damage(uint64_t seed, long rounds);

#endif							/* TEST_H */
