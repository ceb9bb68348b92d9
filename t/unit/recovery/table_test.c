/*
 * table_test.c
 *		Walks every way in which a clone can be interrupted, on a model of the
 *		disk that the real table drives.
 *
 * A node is cloned: copied, its server stopped, the two directories exchanged,
 * the clone started, the former directory deleted.  The job is killed before
 * each of its file operations, or the leader goes just when the copy is whole.
 * Meanwhile the world may change: another leader,
 * none, the node's own server was started by hand and has got more, or has been
 * promoted; somebody pauses, stops the server on purpose, orders it again; a
 * fact cannot be told.  Then the job is begun again, killed again at each of the
 * operations that it does then, and begun again.  At last the world is well:
 * somebody leads, all can be told, and the operator has ordered it.
 *
 * What has rows is a set of bits: a bit that was on some disk and that no leader
 * has, nor pgha_lost, must not vanish.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "recovery/table.h"

/* Rows, by who wrote them. */
#define ROWS_COMMON		1u		/* all have them */
#define ROWS_LEADER		2u		/* of the leader that was copied */
#define ROWS_OWN		4u		/* that this node had alone before; saved before the swap */
#define ROWS_LATER		8u		/* that this node got, started by hand after the crash */
#define ROWS_NEW		16u		/* of another leader */
#define ROWS_RECENT		32u		/* that the old server streamed while the copy was made */

/* More than a job has; the last one stands for none killed. */
#define FIRST_OPERATIONS	20
#define SECOND_OPERATIONS	24

typedef struct Directory
{
	bool		there;
	bool		copy;			/* pgha made it */
	bool		whole;
	bool		original;		/* what the record says is replaced */
	unsigned	rows;
	int			term;
} Directory;

typedef enum Change
{
	CHANGE_NONE,
	CHANGE_NO_LEADER,			/* the leader has gone, with its disk */
	CHANGE_LEADER_AWAY,			/* it cannot be asked; later it can */
	CHANGE_OTHER_CONTAINS,		/* another one, whose history has the copy */
	CHANGE_OTHER_LACKS,			/* another one, whose history has not */
	CHANGE_OTHER_LACKS_RECENT,	/* another one, which has what was copied, but not what came after */
	CHANGE_OWN_FOLLOWED,		/* the node's server was started by hand and has followed */
	CHANGE_OWN_PROMOTED,		/* and was promoted, in a higher term; the former leader is back */
	CHANGE_OWN_PROMOTED_ALONE,	/* and was promoted; nobody else is there */
	CHANGES
} Change;

/* What happens just when the copy is whole, and the job goes on. */
typedef enum Meanwhile
{
	MEANWHILE_NOTHING,
	MEANWHILE_LEADER_LOST,		/* with its disk */
	MEANWHILE_LEADER_AWAY,
	MEANWHILES
} Meanwhile;

typedef enum Kind
{
	KIND_BESIDE,				/* renameat2(RENAME_EXCHANGE) */
	KIND_TWO_RENAMES,			/* where the file system has no exchange */
	KIND_LOST,					/* there is no data directory */
	KIND_BROKEN,				/* it is marked: an earlier rewind failed */
	KINDS
} Kind;

typedef struct World
{
	/* disk */
	Directory	data;
	Directory	copy;			/* under the name of the clone */
	Directory	former;			/* under the name .old- */
	unsigned	lost;			/* what pgha_lost has */

	/* the record */
	bool		record_copy;	/* new_directory */
	bool		record_whole;	/* new_inode: recorded after the copy is synced */
	bool		record_former;
	bool		record_saved;
	int			record_term;	/* the leader's, when that was saved */
	int			record_order_term;	/* the leader's, when it was ordered */
	bool		record_deleting;	/* the former directory */
	bool		record_cloned;

	/* the rest */
	Kind		kind;
	Meanwhile	meanwhile;
	bool		again;			/* the job was interrupted before */
	bool		follows;		/* the old server streams while the copy is made */
	unsigned	leader_rows;
	int			leader_term;
	bool		leader;			/* there is one that can be asked */
	unsigned	outside;		/* rows on disks of others, whether they run or not */
	bool		runs;
	bool		down_unknown;
	bool		changed_unknown;	/* pg_control cannot be read */
	bool		above_unknown;	/* pgha.state is damaged */
	bool		paused;
	bool		stopped;
	bool		ordered;
	bool		streams;
	bool		told;			/* said what to do */
	bool		started_held;	/* broke a pause or a stop on purpose */
	int			budget;			/* operations until the job is killed; -1: it is not */
	char		history[160];	/* how it came to this */
	unsigned	all;			/* rows that were anywhere when the world last changed */
} World;

static long combinations;
static long violations;

static void
violated(const World *world, const char *what, const char *where)
{
	if (violations++ < 5)
		printf("# %s (%s): %s, kind %d data %d/%u copy %d/%u former %d/%u lost %u outside %u leader %d term %d, of %u\n", what, where,
			   world->history, world->kind, world->data.there, world->data.rows, world->copy.there, world->copy.rows,
			   world->former.there, world->former.rows, world->lost, world->outside, world->leader, world->leader_term, world->all);
}

/* ---- operations on the disk; each is a point to be killed at ---- */

static bool
goes_on(World *world)
{
	if (world->budget == 0)
		return false;
	if (world->budget > 0)
		world->budget--;
	return true;
}

/*
 * Rows that exist once must not go with a directory.  It is not whole from the
 * first operation on; false if the job is killed before the last.
 */
static bool
remove_directory(World *world, Directory *directory, const char *where)
{
	unsigned	elsewhere = world->lost | world->outside;

	if (directory != &world->data && world->data.there && world->data.whole)
		elsewhere |= world->data.rows;
	if (directory != &world->copy && world->copy.there && world->copy.whole)
		elsewhere |= world->copy.rows;
	if (directory != &world->former && world->former.there && world->former.whole)
		elsewhere |= world->former.rows;
	if (directory->whole && (directory->rows & ~elsewhere) != 0)
		violated(world, "a copy that was the only one is gone", where);
	if (directory->whole && world->leader && directory->term > world->leader_term)
		violated(world, "something newer than the leader's is deleted", where);
	if (directory->whole && !world->leader)
		violated(world, "deleted without a leader", where);
	if (!goes_on(world))
		return false;
	directory->whole = false;
	directory->rows = 0;
	if (!goes_on(world))
		return false;
	memset(directory, 0, sizeof(*directory));
	return true;
}

static bool
data_is_whole(const World *world)
{
	return world->data.there && world->data.whole;
}

static PghaFact
above(const World *world, const Directory *directory)
{
	if (!world->leader || world->above_unknown)
		return PGHA_NOT_KNOWN;
	return directory->term > world->leader_term ? PGHA_YES : PGHA_NO;
}

static PghaFact
contained(const World *world, const Directory *directory)
{
	if (!world->leader)
		return PGHA_NOT_KNOWN;
	return (directory->rows & ~world->leader_rows) == 0 ? PGHA_YES : PGHA_NO;
}

/* What swap.c finds on the disk. */
static PghaScene
look(const World *world)
{
	PghaScene	scene = {.copy = PGHA_COPY_NONE};

	if (world->record_copy && !world->record_whole)
		scene.copy = world->copy.whole ? PGHA_COPY_PERHAPS : PGHA_COPY_PARTIAL;
	else if (world->record_copy && world->copy.there && world->copy.copy)
		scene.copy = PGHA_COPY_WHOLE;
	else if (world->record_copy && world->data.there && world->data.copy)
		scene.copy = PGHA_COPY_PLACED;
	else if (world->record_copy)
		scene.copy = world->copy.there ? PGHA_COPY_FOREIGN : PGHA_COPY_VANISHED;
	scene.data_whole = data_is_whole(world);
	scene.changed = !world->data.original ? PGHA_YES : world->changed_unknown ? PGHA_NOT_KNOWN : PGHA_NO;
	scene.down = world->down_unknown ? PGHA_NOT_KNOWN : world->runs ? PGHA_NO : PGHA_YES;
	scene.contained = contained(world, &world->copy);
	scene.above = above(world, &world->data);
	scene.paused = world->paused;
	scene.stopped = world->stopped;
	scene.ordered = world->ordered && (!world->again || (world->leader && world->record_order_term == world->leader_term));
	return scene;
}

/* ---- the job ---- */

static bool
name_former(World *world)
{
	if (world->copy.there)
	{
		if (!goes_on(world))
			return false;
		world->former = world->copy;
		memset(&world->copy, 0, sizeof(world->copy));
	}
	if (!goes_on(world))
		return false;
	world->record_copy = world->record_whole = false;
	world->record_former = world->former.there;
	world->record_cloned = true;
	return true;
}

/* An older one is left to the administrator, under its own name. */
static void
keep_former(World *world)
{
	if (world->former.whole)
		world->outside |= world->former.rows;
	memset(&world->former, 0, sizeof(world->former));
	world->record_former = world->record_deleting = false;
	world->told = true;
}

static bool
swap(World *world)
{
	Directory	data = world->data;

	if (world->former.there && data.there)
		keep_former(world);

	if (world->down_unknown)
		violated(world, "swapped though it was not known whether the server runs", "swap");
	if (data_is_whole(world) && contained(world, &world->copy) != PGHA_YES)
		violated(world, "a whole data directory is replaced on a guess", "swap");
	if (data.there && data.whole && world->leader && data.term > world->leader_term)
		violated(world, "something newer than the leader's is replaced", "swap");
	if (!goes_on(world))
		return false;
	world->runs = false;
	if (data.there && world->kind != KIND_TWO_RENAMES)
	{
		if (!goes_on(world))
			return false;
		world->data = world->copy;
		world->copy = data;
	}
	else
	{
		if (data.there)
		{
			if (!goes_on(world))
				return false;
			world->former = data;
			memset(&world->data, 0, sizeof(world->data));
		}
		if (!goes_on(world))
			return false;
		world->data = world->copy;
		memset(&world->copy, 0, sizeof(world->copy));
	}
	return name_former(world);
}

/* The clone streams: what becomes of the directory before it. */
static bool
finish(World *world)
{
	PghaFormer	former = {.listed = world->former.original, .saved = world->record_saved && world->record_term == world->leader_term};

	if (!world->record_former || !world->former.there)
		return true;
	if (world->former.whole || !world->record_deleting)
	{
		former.above = above(world, &world->former);

		/* Nor does the leader answer then. */
		former.contained = world->down_unknown ? PGHA_NOT_KNOWN : contained(world, &world->former);
		former.changed = world->changed_unknown ? PGHA_NOT_KNOWN : PGHA_NO;
	}
	else
		former.contained = PGHA_YES;
	switch (pgha_table_former(&former))
	{
		case PGHA_FATE_DELETE:
			if (!goes_on(world))
				return false;
			/* A directory that is not whole has nothing. */
			world->record_deleting = true;
			if (!remove_directory(world, &world->former, "finish"))
				return false;
			break;
		case PGHA_FATE_KEEP:
			if (!goes_on(world))
				return false;
			keep_former(world);
			return true;
		case PGHA_FATE_AWAIT:
			return true;
	}
	if (!goes_on(world))
		return false;
	world->record_former = world->record_deleting = false;
	return true;
}

static bool
start(World *world)
{
	PghaScene	scene = look(world);

	if (world->runs)
		return true;
	if (!pgha_table_may_start(&scene))
	{
		world->told = true;
		return false;
	}
	if (!goes_on(world))
		return false;
	if ((world->paused || world->stopped) && !scene.ordered)
		world->started_held = true;
	world->runs = true;
	world->data.original = false;
	return true;
}

static unsigned
rows_of(const World *world)
{
	return world->outside | world->lost | (data_is_whole(world) ? world->data.rows : 0) |
		(world->copy.whole ? world->copy.rows : 0) | (world->former.whole ? world->former.rows : 0);
}

/* The copy will not be swapped in: swap.c's pgha_swap_drop_copy(). */
static void
drop_copy(World *world)
{
	world->told = true;
	if (contained(world, &world->copy) != PGHA_YES || !remove_directory(world, &world->copy, "drop copy") ||
		!goes_on(world))
		return;
	world->record_copy = world->record_whole = false;
}

static bool
make_copy(World *world)
{
	if (!world->leader)
	{
		world->told = true;
		return false;
	}
	/* Nothing above the leader's is replaced, or that nobody could save. */
	if (data_is_whole(world) && above(world, &world->data) != PGHA_NO)
	{
		world->told = true;
		return false;
	}
	if (!goes_on(world))
		return false;
	world->record_copy = true;
	if (!goes_on(world))
		return false;
	world->copy = (Directory) {.there = true, .copy = true, .rows = 0, .term = 0};
	if (!goes_on(world))
		return false;
	world->copy.whole = true;
	world->copy.rows = world->leader_rows;
	world->copy.term = world->leader_term;
	if (world->follows && data_is_whole(world) && world->runs)
	{
		world->leader_rows |= ROWS_RECENT;
		world->outside |= ROWS_RECENT;
		world->data.rows |= ROWS_RECENT;
	}
	if (!goes_on(world))
		return false;
	world->record_whole = true;
	world->data.original = false;
	if (world->meanwhile != MEANWHILE_NOTHING)
	{
		world->leader = false;
		if (world->meanwhile == MEANWHILE_LEADER_LOST)
			world->outside = world->leader_rows = 0;
		world->all = rows_of(world);
	}

	/* It still leads; the server is stopped before, and that is proven again. */
	if (!world->leader || world->down_unknown)
	{
		drop_copy(world);
		return false;
	}
	if (data_is_whole(world))
	{
		if (!goes_on(world))
			return false;
		world->runs = false;
		if (!goes_on(world))
			return false;
		world->lost |= world->data.rows & ~world->leader_rows;
		world->record_saved = true;
		world->record_term = world->leader_term;
	}
	if (!goes_on(world))
		return false;
	world->data.original = world->data.there;
	return true;
}

static void
run_job(World *world)
{
	PghaScene	scene = look(world);

	switch (pgha_table_step(&scene))
	{
		case PGHA_STEP_AWAIT_SERVER:
		case PGHA_STEP_AWAIT_LEADER:
		case PGHA_STEP_AWAIT_OPERATOR:
			world->told = true;
			if (scene.data_whole && !world->down_unknown)
				(void) start(world);
			return;
		case PGHA_STEP_SWAP:
			if (!swap(world))
				return;
			break;
		case PGHA_STEP_NAME:
			if (!name_former(world))
				return;
			break;
		case PGHA_STEP_DELETE_COPY:
			if (world->copy.there && !remove_directory(world, &world->copy, "delete copy"))
				return;
			if (!goes_on(world))
				return;
			world->record_copy = world->record_whole = false;
			break;
		case PGHA_STEP_LEAVE_COPY:
			/* It stays under its name; the next clone has another one. */
			if (!goes_on(world))
				return;
			world->outside |= world->copy.rows;
			memset(&world->copy, 0, sizeof(world->copy));
			world->record_copy = world->record_whole = false;
			world->told = true;
			break;
		case PGHA_STEP_FORGET_COPY:
			world->record_copy = world->record_whole = false;
			break;
		case PGHA_STEP_GO_ON:
			break;
	}
	if (!data_is_whole(world) || (data_is_whole(world) && world->ordered && !world->record_cloned))
	{
		if (!make_copy(world) || !swap(world))
			return;
	}
	if (!start(world))
		return;

	/* A clone streams from whoever leads; own data above the leader's is told to be so. */
	if (!world->leader || world->data.term > world->leader_term ||
		contained(world, &world->data) != PGHA_YES)
	{
		/* The job fails with that; the next one of that kind clones anew. */
		world->record_cloned = false;
		world->told = true;
		return;
	}
	world->streams = true;
	(void) finish(world);
}

/* ---- the walk ---- */

static void
change_world(World *world, Change change)
{
	switch (change)
	{
		case CHANGE_NONE:
		case CHANGES:
			break;
		case CHANGE_NO_LEADER:
			world->leader = false;
			world->outside = 0;
			world->leader_rows = 0;
			break;
		case CHANGE_LEADER_AWAY:
			world->leader = false;
			break;
		case CHANGE_OTHER_CONTAINS:
			world->leader_term = 3;
			world->leader_rows |= ROWS_NEW;
			world->outside |= ROWS_NEW;
			break;
		case CHANGE_OTHER_LACKS:
			world->leader_term = 3;
			world->leader_rows = ROWS_COMMON | ROWS_NEW;
			world->outside = world->leader_rows;
			break;
		case CHANGE_OTHER_LACKS_RECENT:
			world->leader_term = 3;
			world->leader_rows = ROWS_COMMON | ROWS_LEADER | ROWS_NEW;
			world->outside = world->leader_rows;
			break;
		case CHANGE_OWN_FOLLOWED:
		case CHANGE_OWN_PROMOTED:
		case CHANGE_OWN_PROMOTED_ALONE:
			/* Only a directory that is there and is whole can be started. */
			if (!data_is_whole(world))
				break;
			world->data.original = false;
			world->runs = !world->stopped;
			if (change == CHANGE_OWN_FOLLOWED)
				break;
			world->data.rows |= ROWS_LATER;
			world->data.term = 9;
			if (change == CHANGE_OWN_PROMOTED_ALONE)
			{
				world->leader = false;
				world->outside = 0;
				world->leader_rows = 0;
			}
			break;
	}
}

static void
check_rows(const World *world, const char *where)
{
	if ((world->all & ~rows_of(world)) != 0)
		violated(world, "rows are nowhere", where);
}

static World
begin(Kind kind, int rows)
{
	World		world = {.kind = kind, .leader = true, .leader_term = 2, .budget = -1, .ordered = true, .record_order_term = 2};

	world.leader_rows = world.outside = ROWS_COMMON | ROWS_LEADER;
	if (kind != KIND_LOST)
	{
		world.data = (Directory) {.there = true, .whole = kind != KIND_BROKEN, .term = 1};
		world.data.rows = kind == KIND_BROKEN ? 0 : ROWS_COMMON | (rows == 1 ? ROWS_OWN : 0);
		world.follows = rows == 2;
		world.runs = kind != KIND_BROKEN;
	}
	return world;
}

/* The second kill, and the end: the world is well again, and the job is ordered once more. */
static void
walk_rest(const World *before, Change change, int operator_bits, int second)
{
	World		world = *before;

	world.again = true;
	world.meanwhile = MEANWHILE_NOTHING;
	if (violations < 5)
		(void) snprintf(world.history, sizeof(world.history), "%.90s change %d operator %d killed at %d", before->history, change,
						operator_bits, second);
	world.paused = (operator_bits & 1) != 0;
	world.stopped = (operator_bits & 2) != 0;
	world.ordered = (operator_bits & 4) != 0;
	world.down_unknown = (operator_bits & 8) != 0;
	world.changed_unknown = (operator_bits & 16) != 0;
	world.above_unknown = (operator_bits & 32) != 0;
	if (world.stopped)
		world.runs = false;
	change_world(&world, change);
	world.all = rows_of(&world);
	world.budget = second;
	world.streams = world.told = false;
	run_job(&world);
	check_rows(&world, "second run");
	if (world.started_held)
		violated(&world, "a pause or a stop on purpose was broken", "second run");
	if (world.budget != 0 && !world.streams && !world.told)
		violated(&world, "neither streams nor says what to do", "second run");

	/* What was away is back. */
	if (change == CHANGE_LEADER_AWAY || (before->meanwhile == MEANWHILE_LEADER_AWAY && change != CHANGE_NO_LEADER && change != CHANGE_OWN_PROMOTED_ALONE))
		world.leader = true;
	world.down_unknown = world.changed_unknown = world.above_unknown = false;
	world.budget = -1;
	world.ordered = true;
	world.record_order_term = world.leader_term;
	for (int i = 0; i < 3 && !world.streams; i++)
	{
		world.told = false;
		run_job(&world);
	}
	check_rows(&world, "last run");
	if (!world.streams && !world.told)
		violated(&world, "neither streams nor says what to do", "last run");
	if (!world.streams && world.leader && !(data_is_whole(&world) && world.data.term > world.leader_term))
		violated(&world, "does not stream though all is well", "last run");
	combinations++;
}

/* The first kill, or none; then all that may follow. */
static void
walk_first(Kind kind, int rows, Meanwhile meanwhile, int first)
{
	World		world = begin(kind, rows);

	world.meanwhile = meanwhile;
	(void) snprintf(world.history, sizeof(world.history), "rows %d meanwhile %d killed at %d", rows, meanwhile, first);
	world.budget = first;
	world.all = rows_of(&world);
	run_job(&world);
	check_rows(&world, "first run");
	for (int change = 0; change < CHANGES; change++)
		for (int operator_bits = 0; operator_bits < 64; operator_bits++)
			for (int second = 0; second <= SECOND_OPERATIONS; second++)
				walk_rest(&world, (Change) change, operator_bits, second == SECOND_OPERATIONS ? -1 : second);
	if (first == FIRST_OPERATIONS && world.budget == 0)
		violated(&world, "the job has more operations than are tried", "first run");
}

/* Every line has a fit, and the outcome does not depend on what must not matter. */
static void
walk_table(void)
{
	for (int bits = 0; bits < 7 * 2 * 3 * 3 * 3 * 3 * 8; bits++)
	{
		int			rest = bits;
		PghaScene	scene;
		PghaStep	step;

		scene.copy = (PghaCopy) (rest % 7), rest /= 7;
		scene.data_whole = rest % 2 != 0, rest /= 2;
		scene.changed = (PghaFact) (rest % 3), rest /= 3;
		scene.down = (PghaFact) (rest % 3), rest /= 3;
		scene.contained = (PghaFact) (rest % 3), rest /= 3;
		scene.above = (PghaFact) (rest % 3), rest /= 3;
		scene.paused = (rest & 1) != 0;
		scene.stopped = (rest & 2) != 0;
		scene.ordered = (rest & 4) != 0;
		step = pgha_table_step(&scene);
		combinations++;
		if (step == PGHA_STEP_SWAP && scene.data_whole &&
			(scene.changed != PGHA_NO || scene.contained != PGHA_YES || scene.above != PGHA_NO ||
			 scene.down == PGHA_NOT_KNOWN || !pgha_table_may_start(&scene)))
			violations++, printf("# a swap on a guess: %d\n", bits);
		if (step == PGHA_STEP_SWAP && scene.down != PGHA_YES && !scene.data_whole)
			violations++, printf("# a swap under a server that may run: %d\n", bits);
		if (step == PGHA_STEP_DELETE_COPY && scene.copy == PGHA_COPY_WHOLE &&
			(!scene.data_whole || scene.contained != PGHA_YES))
			violations++, printf("# a copy is deleted on a guess: %d\n", bits);
		if ((scene.copy == PGHA_COPY_FOREIGN) && step != PGHA_STEP_LEAVE_COPY)
			violations++, printf("# what pgha did not make is not left alone: %d\n", bits);
		if ((scene.copy == PGHA_COPY_VANISHED) && step != PGHA_STEP_FORGET_COPY)
			violations++, printf("# there is nothing to decide on: %d\n", bits);
		if (step == PGHA_STEP_AWAIT_OPERATOR && pgha_table_may_start(&scene))
			violations++, printf("# waits for an operator who has said nothing: %d\n", bits);
	}
}

int
main(void)
{
	long		of_table;

	walk_table();
	of_table = combinations;
	printf("%s 1 - the table: %ld scenes, none is decided on a guess\n", violations == 0 ? "ok" : "not ok", of_table);
	for (int kind = 0; kind < KINDS; kind++)
		for (int rows = 0; rows < 3; rows++)
			for (int meanwhile = 0; meanwhile < MEANWHILES; meanwhile++)
				for (int first = 0; first <= FIRST_OPERATIONS; first++)
					walk_first((Kind) kind, rows, (Meanwhile) meanwhile, first);
	printf("%s 2 - the model: %ld combinations: no copy that was the only one is gone, nothing newer than the leader's is"
		   " deleted, ends streaming or says what to do\n", violations == 0 ? "ok" : "not ok", combinations - of_table);
	printf("1..2\n# %ld combinations, %ld violations\n", combinations, violations);
	return violations == 0 ? 0 : 1;
}
