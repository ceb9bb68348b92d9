/*
 * members.h
 *		The member list of pgha.members: 'db-1=10.0.3.21:5432, db-2=[fd00::1]:5432',
 *		and the witnesses of pgha.witnesses, written likewise.
 */
#ifndef PGHA_MEMBERS_H
#define PGHA_MEMBERS_H

#include "../core/node.h"

#define PGHA_HOST_SIZE	256

/* A list of as many as there may be, written by pgha_members_write(). */
#define PGHA_LIST_SIZE	(PGHA_MAX_MEMBERS * (PGHA_NAME_SIZE + PGHA_HOST_SIZE + 12))

/* An order to change the list of a setting: "check" or "write", the setting, the node, and the list. */
#define PGHA_LIST_ORDER_SIZE	(PGHA_LIST_SIZE + PGHA_NAME_SIZE + 32)

/* What an agent that carries out such orders says of itself with its polls (pgha_agent_poll()). */
#define PGHA_TAKES_LISTS	"takes lists"

typedef struct PghaAddress
{
	char		name[PGHA_NAME_SIZE];
	char		host[PGHA_HOST_SIZE];	/* name or numeric address, without brackets */
	int			port;
} PghaAddress;

typedef struct PghaMembers
{
	int			count;			/* members, which have data */
	int			voters;			/* ... and the witnesses behind them */
	PghaAddress member[PGHA_MAX_MEMBERS];	/* in the order written */
} PghaMembers;

/*
 * Parses `text`.  Port defaults to 5432.  False with a sentence in `error`
 * (which says what is wrong and what to write) for: syntax, too many members,
 * a name that is empty, too long or not made of letters, digits, '-', '_' and
 * '.', a name or an address given twice, a port out of range, two names whose
 * slot names collide (see pgha_slot_name).  An empty text is an empty list.
 */
extern bool pgha_members_parse(const char *text, PghaMembers *members,
							   char *error, size_t error_size);

/*
 * Parses `text`, the witnesses, and puts them behind the members that are there.
 * False like pgha_members_parse(), and for a witness that is a member, too.
 */
extern bool pgha_witnesses_parse(const char *text, PghaMembers *members,
								 char *error, size_t error_size);

/*
 * Writes the members from `first` on, up to and without `end`, as they are parsed.
 * `text` has PGHA_LIST_SIZE bytes.
 */
extern void pgha_members_write(const PghaMembers *members, int first, int end, char *text);

/* The lists, but for the one of that name: the same names, hosts and ports in the same order? */
extern bool pgha_members_same_without(const PghaMembers *one, const PghaMembers *two, const char *name);

/* Is `name` usable as a member's name? */
extern bool pgha_name_valid(const char *name);

/* Index of the member `name`, or PGHA_NOBODY. */
extern int	pgha_members_find(const PghaMembers *members, const char *name);

/* Index of the member or witness `name`, or PGHA_NOBODY. */
extern int	pgha_voters_find(const PghaMembers *members, const char *name);

/*
 * Name of the physical slot that is kept for a member: "pgha_" and the name in
 * lower case, other characters than letters and digits as '_'.  `slot` holds
 * 64 bytes.
 */
extern void pgha_slot_name(const char *name, char *slot);

#endif							/* PGHA_MEMBERS_H */
