/*
 * table.c
 *		What comes next of a clone that may have been interrupted: a table.
 *
 * The first line that fits is taken.  Each column is a set of values, so that a
 * line reads as the sentence beside it.
 */
#include "table.h"

#include <stddef.h>

/* Sets of facts. */
#define NO		(1u << PGHA_NO)
#define YES		(1u << PGHA_YES)
#define UNKNOWN	(1u << PGHA_NOT_KNOWN)
#define ANY		(NO | YES | UNKNOWN)

typedef struct Line
{
	PghaCopy	copy;
	unsigned	data_whole;
	unsigned	down;
	unsigned	contained;
	unsigned	changed;
	unsigned	above;
	unsigned	held;			/* paused or stopped on purpose, and nobody has ordered it */
	PghaStep	step;
} Line;

static const Line table[] = {
	/* copy                 whole down          contained     changed        above          held */
	{PGHA_COPY_NONE,        ANY,  ANY,          ANY,          ANY,           ANY,           ANY, PGHA_STEP_GO_ON},
	{PGHA_COPY_PARTIAL,     ANY,  ANY,          ANY,          ANY,           ANY,           ANY, PGHA_STEP_DELETE_COPY},
	{PGHA_COPY_PERHAPS,     ANY,  ANY,          YES,          ANY,           ANY,           ANY, PGHA_STEP_DELETE_COPY},
	{PGHA_COPY_PERHAPS,     ANY,  ANY,          NO,           ANY,           ANY,           ANY, PGHA_STEP_LEAVE_COPY},
	{PGHA_COPY_PERHAPS,     ANY,  ANY,          UNKNOWN,      ANY,           ANY,           ANY, PGHA_STEP_AWAIT_LEADER},
	{PGHA_COPY_VANISHED,    ANY,  ANY,          ANY,          ANY,           ANY,           ANY, PGHA_STEP_FORGET_COPY},
	{PGHA_COPY_FOREIGN,     ANY,  ANY,          ANY,          ANY,           ANY,           ANY, PGHA_STEP_LEAVE_COPY},
	{PGHA_COPY_PLACED,      ANY,  ANY,          ANY,          ANY,           ANY,           ANY, PGHA_STEP_NAME},

	/* There is no other data directory: no choice is left. */
	{PGHA_COPY_WHOLE,       NO,   YES,          ANY,          ANY,           ANY,           ANY, PGHA_STEP_SWAP},
	{PGHA_COPY_WHOLE,       NO,   NO | UNKNOWN, ANY,          ANY,           ANY,           ANY, PGHA_STEP_AWAIT_SERVER},

	/* There is one, whole: decided anew. */
	{PGHA_COPY_WHOLE,       YES,  UNKNOWN,      ANY,          ANY,           ANY,           ANY, PGHA_STEP_AWAIT_SERVER},
	{PGHA_COPY_WHOLE,       YES,  ANY,          UNKNOWN,      ANY,           ANY,           ANY, PGHA_STEP_AWAIT_LEADER},
	{PGHA_COPY_WHOLE,       YES,  ANY,          NO,           ANY,           ANY,           ANY, PGHA_STEP_LEAVE_COPY},
	{PGHA_COPY_WHOLE,       YES,  ANY,          YES,          YES | UNKNOWN, ANY,           ANY, PGHA_STEP_DELETE_COPY},
	{PGHA_COPY_WHOLE,       YES,  ANY,          YES,          NO,            YES | UNKNOWN, ANY, PGHA_STEP_DELETE_COPY},
	{PGHA_COPY_WHOLE,       YES,  ANY,          YES,          NO,            NO,            YES, PGHA_STEP_AWAIT_OPERATOR},
	{PGHA_COPY_WHOLE,       YES,  ANY,          YES,          NO,            NO,            NO,  PGHA_STEP_SWAP},
};

static unsigned
fact(bool value)
{
	return value ? YES : NO;
}

bool
pgha_table_may_start(const PghaScene *scene)
{
	return scene->ordered || (!scene->paused && !scene->stopped);
}

PghaStep
pgha_table_step(const PghaScene *scene)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
	{
		const Line *line = &table[i];

		if (line->copy == scene->copy &&
			(line->data_whole & fact(scene->data_whole)) != 0 &&
			(line->down & (1u << scene->down)) != 0 &&
			(line->contained & (1u << scene->contained)) != 0 &&
			(line->changed & (1u << scene->changed)) != 0 &&
			(line->above & (1u << scene->above)) != 0 &&
			(line->held & fact(!pgha_table_may_start(scene))) != 0)
			return line->step;
	}

	/* The lines cover everything; the one that changes nothing is safe. */
	return PGHA_STEP_AWAIT_OPERATOR;
}

PghaFate
pgha_table_former(const PghaFormer *former)
{
	if (!former->listed || former->keep || former->changed == PGHA_YES || former->above == PGHA_YES)
		return PGHA_FATE_KEEP;
	if (former->changed == PGHA_NOT_KNOWN || former->above == PGHA_NOT_KNOWN)
		return PGHA_FATE_AWAIT;
	if (former->saved || former->contained == PGHA_YES)
		return PGHA_FATE_DELETE;
	return former->contained == PGHA_NO ? PGHA_FATE_KEEP : PGHA_FATE_AWAIT;
}

const char *
pgha_table_word(PghaStep step)
{
	static const char *const words[] = {
		"go on", "swap", "name", "delete copy", "leave copy", "forget copy",
		"await server", "await leader", "await operator"
	};

	return words[step];
}
