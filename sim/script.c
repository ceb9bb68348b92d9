/*
 * script.c
 *		Scenario scripts: commands, and the conversation expected below each.
 *
 *	# A comment.
 *	kill a
 *	run 5s
 *	----
 *	   3.000 a is killed
 *	   ...
 *
 * A block is commands up to a line "----", then what happens, up to an empty
 * line.  Everything is exact: latencies are fixed and there is no chance, so
 * the same script always tells the same story.  Rewriting puts what happens in
 * the place of what was expected; a reader must then judge it.
 *
 * The commands are in the table below.  Nodes are named a, b, c, ...; "all"
 * stands for all of them.
 */
#include "script.h"

#include "../src/core/recall.h"
#include "check.h"
#include "loop.h"
#include "monitor.h"
#include "network.h"
#include "server.h"
#include "trace.h"
#include "vote_check.h"
#include "wal.h"

#include <stdlib.h>

#define MAX_WORDS	16

typedef struct Script
{
	SimWorld   *world;
	const char *path;
	int			line;
	bool		failed;
} Script;

typedef struct Command
{
	const char *name;
	int			words;			/* at least, the name included */
	void		(*run) (Script *script, int count, char **word);
	const char *usage;
} Command;

static void
complain(Script *script, const char *what, const char *word)
{
	fprintf(stderr, "%s:%d: %s%s%s\n", script->path, script->line, what,
			word == NULL ? "" : ": ", word == NULL ? "" : word);
	script->failed = true;
}

/* ---- words ---- */

static int
node_named(Script *script, const char *name)
{
	for (int i = 0; i < script->world->count; i++)
		if (strcmp(script->world->node[i].settings.name[i], name) == 0)
			return i;
	complain(script, "no such node", name);
	return 0;
}

/* The nodes meant by a word, as bits. */
static unsigned
nodes_named(Script *script, const char *name)
{
	if (strcmp(name, "all") == 0)
		return (1u << script->world->count) - 1;
	return 1u << node_named(script, name);
}

static pgha_time
duration(Script *script, const char *word)
{
	char	   *unit;
	double		value = strtod(word, &unit);

	if (strcmp(unit, "s") == 0)
		return (pgha_time) (value * SECOND);
	if (strcmp(unit, "ms") == 0)
		return (pgha_time) (value * MS);
	complain(script, "not a time", word);
	return 0;
}

static bool
is_on(const char *word)
{
	return strcmp(word, "on") == 0;
}

/* ---- commands ---- */

/* cluster N [witnesses=N] [heartbeat=T] [failure_timeout=T] [startup_grace=T] */
static void
run_cluster(Script *script, int count, char **word)
{
	SimWorld   *world = script->world;
	FILE	   *trace = world->trace;
	int			nodes = atoi(word[1]);
	int			witnesses = -1;

	if (nodes < 1 || nodes > SIM_MAX_NODES)
	{
		complain(script, "not a number of nodes", word[1]);
		return;
	}
	sim_world_init(world, 1, nodes);
	sim_observe(world, &sim_checks);
	world->exact = true;
	world->trace = trace;
	for (int w = 2; w < count; w++)
	{
		char	   *value = strchr(word[w], '=');

		if (value == NULL)
		{
			complain(script, "not a setting", word[w]);
			return;
		}
		*value++ = '\0';
		for (int i = 0; i < nodes; i++)
		{
			PghaSettings *settings = &world->node[i].settings;

			if (strcmp(word[w], "witnesses") == 0)
				continue;
			if (strcmp(word[w], "heartbeat") == 0)
				settings->heartbeat_interval = duration(script, value);
			else if (strcmp(word[w], "failure_timeout") == 0)
				settings->failure_timeout = duration(script, value);
			else if (strcmp(word[w], "startup_grace") == 0)
				settings->startup_grace = duration(script, value);
			else
				complain(script, "no such setting", word[w]);
		}
		if (strcmp(word[w], "witnesses") == 0)
			witnesses = atoi(value);
	}
	if (witnesses >= 0 && witnesses < nodes)
	{
		sim_add_witnesses(world, witnesses);
		world->observers = 0;
		sim_observe(world, &sim_vote_checks);
	}
}

typedef void (*NodeFunction) (SimWorld *world, int node);

static void
kill_process(SimWorld *world, int node)
{
	sim_kill(world, node, false);
}

static void
kill_host(SimWorld *world, int node)
{
	sim_kill(world, node, true);
}

/* pgha.state is damaged: what the boot check then lets the monitor find. */
static void
damage_state(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];

	memset(&n->disk, 0, sizeof(n->disk));
	if (n->settings.voters > 0)
		pgha_forget(&n->disk);
	if (!n->standby_signal)
		n->disk.role = PGHA_ROLE_PRIMARY;
}

/* pgha.state is not there, as before pgha was installed. */
static void
forget_state(SimWorld *world, int node)
{
	SimNode    *n = &world->node[node];

	memset(&n->disk, 0, sizeof(n->disk));
	if (n->settings.voters > 0)
		pgha_forget(&n->disk);
}

static void
pause_failover(SimWorld *world, int node)
{
	sim_pause(world, node, true);
}

static void
resume_failover(SimWorld *world, int node)
{
	sim_pause(world, node, false);
}

static void
report_refusal(SimWorld *world, int node, bool force)
{
	PghaWhy		why = sim_promote(world, node, force);

	if (why.reason != PGHA_WHY_NONE)
		sim_trace(world, node, "  (%s)", sim_why_text(&world->node[node], &why));
}

static void
hang(SimWorld *world, int node)
{
	sim_hang(world, node, 10 * SECOND);
}

static void
disable(SimWorld *world, int node)
{
	world->node[node].unable = world->now + 10 * SECOND;
}

static void
promote(SimWorld *world, int node)
{
	report_refusal(world, node, false);
}

static void
promote_by_force(SimWorld *world, int node)
{
	report_refusal(world, node, true);
}

/* NAME node... */
static void
run_on_nodes(Script *script, int count, char **word)
{
	static const struct
	{
		const char *name;
		NodeFunction function;
	}			functions[] = {
		{"start", sim_start},
		{"stop", sim_stop},
		{"kill", kill_process},
		{"power-off", kill_host},
		{"damage-state", damage_state},
		{"forget-state", forget_state},
		{"backend-crash", sim_backend_crash},
		{"drop-stream", sim_drop_stream},
		{"lose-wal", sim_lose_wal},
		{"freeze", sim_freeze},
		{"hang", hang},
		{"unable", disable},
		{"thaw", sim_thaw},
		{"pause", pause_failover},
		{"resume", resume_failover},
		{"promote", promote},
		{"promote-force", promote_by_force},
		{"pg_promote", sim_promote_without_pgha},
	};

	for (size_t f = 0; f < sizeof(functions) / sizeof(functions[0]); f++)
	{
		if (strcmp(functions[f].name, word[0]) != 0)
			continue;
		for (int w = 1; w < count; w++)
		{
			unsigned	nodes = nodes_named(script, word[w]);

			for (int i = 0; i < script->world->count; i++)
				if (nodes & (1u << i))
					functions[f].function(script->world, i);
		}
	}
}

/* cut FROM TO [one-way]; both may be "all" */
static void
run_cut(Script *script, int count, char **word)
{
	unsigned	from = nodes_named(script, word[1]);
	unsigned	to = nodes_named(script, word[2]);

	for (int i = 0; i < script->world->count; i++)
		for (int j = 0; j < script->world->count; j++)
			if ((from & (1u << i)) && (to & (1u << j)))
			{
				sim_cut(script->world, i, j, true);
				if (count < 4)
					sim_cut(script->world, j, i, true);
			}
}

/* reject NODE NODE on|off */
static void
run_reject(Script *script, int count, char **word)
{
	script->world->node[node_named(script, word[1])].rejected[node_named(script, word[2])] =
		count < 4 || is_on(word[3]);
}

/* no-name NODE NODE on|off */
static void
run_no_name(Script *script, int count, char **word)
{
	script->world->node[node_named(script, word[1])].nameless[node_named(script, word[2])] =
		count < 4 || is_on(word[3]);
}

static void
run_switchover(Script *script, int count, char **word)
{
	unsigned	from = nodes_named(script, word[1]);
	unsigned	to = count > 2 ? nodes_named(script, word[2]) : 0;

	for (int i = 0; i < script->world->count; i++)
		if (from & (1u << i))
			sim_switchover(script->world, i, to != 0 ? __builtin_ctz(to) : PGHA_NOBODY);
}

static void
run_heal(Script *script, int count, char **word)
{
	(void) count;
	(void) word;
	for (int i = 0; i < script->world->count; i++)
		for (int j = 0; j < script->world->count; j++)
			sim_cut(script->world, i, j, false);
}

static bool
set_core_setting(Script *script, PghaSettings *settings, const char *name, const char *value)
{
	if (strcmp(name, "priority") == 0)
		settings->priority = atoi(value);
	else if (strcmp(name, "voters") == 0)
		settings->voters = atoi(value);
	else if (strcmp(name, "members") == 0)
		settings->voters = settings->count = atoi(value);
	else if (strcmp(name, "auto_failover") == 0)
		settings->auto_failover = is_on(value);
	else if (strcmp(name, "fence") == 0)
		settings->fence = is_on(value);
	else if (strcmp(name, "fence_timeout") == 0)
		settings->fence_timeout = duration(script, value);
	else if (strcmp(name, "max_failover_lag") == 0)
		settings->max_failover_lag = (uint64_t) strtoull(value, NULL, 0);
	else if (strcmp(name, "failure_timeout") == 0)
		settings->failure_timeout = duration(script, value);
	else if (strcmp(name, "system_identifier") == 0)
		settings->system_identifier = (uint64_t) strtoull(value, NULL, 0);
	else
		return false;
	return true;
}

/* set NODE NAME VALUE: settings of pgha and of the simulated server */
static void
run_set(Script *script, int count, char **word)
{
	unsigned	nodes = nodes_named(script, word[1]);
	const char *name = word[2];
	const char *value = word[3];

	(void) count;
	for (int i = 0; i < script->world->count; i++)
	{
		SimNode    *n = &script->world->node[i];

		if ((nodes & (1u << i)) == 0)
			continue;
		if (set_core_setting(script, &n->settings, name, value))
			sim_configure(script->world, i);
		else if (strcmp(name, "agent") == 0)
			n->agent = is_on(value);
		else if (strcmp(name, "instance") == 0)
			n->no_instance = !is_on(value);
		else if (strcmp(name, "stop_time") == 0)
			n->stop_time = duration(script, value);
		else if (strcmp(name, "stop_fails") == 0)
			n->stop_fails = is_on(value);
		else if (strcmp(name, "stop_answer_lost") == 0)
			n->stop_answer_lost = is_on(value);
		else if (strcmp(name, "apply_delay") == 0)
			n->apply_delay = is_on(value);
		else if (strcmp(name, "archived") == 0)
			n->archived = (uint32_t) atoi(value);
		else if (strcmp(name, "too_low") == 0)
			n->too_low = is_on(value);
		else if (strcmp(name, "too_many_clients") == 0)
			n->answers_error = is_on(value);
		else if (strcmp(name, "no_senders") == 0)
			n->no_senders = is_on(value);
		else if (strcmp(name, "disk_full") == 0)
			n->disk_full = is_on(value);
		else if (strcmp(name, "answers_as") == 0)
			n->impostor = node_named(script, value);
		else if (strcmp(name, "recovery") == 0)
			n->passive = strcmp(value, "signal") == 0 ? PGHA_PASSIVE_RECOVERY_SIGNAL :
				strcmp(value, "target") == 0 ? PGHA_PASSIVE_RECOVERY_TARGET : PGHA_ACTIVE;
		else if (strcmp(name, "throttle") == 0)
			n->throttle = duration(script, value);
		else if (strcmp(name, "recovery_time") == 0)
			n->slow_recovery = duration(script, value);
		else if (strcmp(name, "replay") == 0)
		{
			n->replay_held = script->world->now + (is_on(value) ? 0 : 3600 * SECOND);
			if (n->behind)
				sim_post(script->world, 0, SIM_REPLAY, i, 0, 0, 0);
		}
		else if (strcmp(name, "crash_at_stage") == 0)
			n->crash_at_stage = atoi(value);
		else
			complain(script, "no such setting", name);
	}
}

/* sync FIRST|ANY K NODE... | sync none: synchronous_standby_names, everywhere */
static void
run_sync(Script *script, int count, char **word)
{
	SimSyncNames names = {0};

	if (strcmp(word[1], "none") != 0)
	{
		names.method = strcmp(word[1], "FIRST") == 0 ? PGHA_SYNC_FIRST : PGHA_SYNC_ANY;
		names.k = count > 2 ? atoi(word[2]) : 0;
		for (int w = 3; w < count && names.count < SIM_MAX_NODES; w++)
			names.member[names.count++] = node_named(script, word[w]);
		if (names.k < 1 || names.count < 1)
		{
			complain(script, "sync FIRST|ANY K NODE...", NULL);
			return;
		}
	}
	for (int i = 0; i < script->world->count; i++)
		script->world->node[i].sync_names = names;
}

static void
run_writes(Script *script, int count, char **word)
{
	(void) count;
	script->world->writes = is_on(word[1]);
}

typedef struct Awaited
{
	int			node;
	PghaState	state;
} Awaited;

static bool
reached(SimWorld *world, void *arg)
{
	const Awaited *awaited = arg;
	const SimNode *n = &world->node[awaited->node];

	return n->monitor && n->core.state == awaited->state &&
		(awaited->state != PGHA_PRIMARY || n->gate) &&
		(awaited->state != PGHA_STANDBY || n->receiver == PGHA_RECEIVER_STREAMING);
}

/* run TIME | run until NODE STATE [TIME] */
static void
run_run(Script *script, int count, char **word)
{
	SimWorld   *world = script->world;
	Awaited		awaited;
	pgha_time	limit;

	if (strcmp(word[1], "until") != 0)
	{
		sim_run(world, world->now + duration(script, word[1]), NULL, NULL);
		return;
	}
	if (count < 4)
	{
		complain(script, "run until NODE STATE [TIME]", NULL);
		return;
	}
	awaited.node = node_named(script, word[2]);
	for (awaited.state = 0; awaited.state < PGHA_STATE_COUNT; awaited.state++)
		if (strcmp(pgha_state_name(awaited.state), word[3]) == 0)
			break;
	if (awaited.state == PGHA_STATE_COUNT)
		complain(script, "no such state", word[3]);
	limit = count > 4 ? duration(script, word[4]) : 120 * SECOND;
	sim_run(world, world->now + limit, reached, &awaited);
	if (!reached(world, &awaited))
		sim_trace(world, awaited.node, "is not %s in time", word[3]);
}

/* status: a line a node */
static void
run_status(Script *script, int count, char **word)
{
	SimWorld   *world = script->world;

	(void) count;
	(void) word;
	for (int i = 0; i < world->count; i++)
	{
		const SimNode *n = &world->node[i];
		const PghaNode *core = &n->core;

		if (!n->monitor)
		{
			sim_trace(world, i, "is not running");
			continue;
		}
		sim_trace(world, i, "%s, term %d of %s, timeline %u, gate %s, receiver %s%s%s; %s",
				  pgha_state_name(core->state), (int) core->durable.claim.term,
				  core->durable.claim.leader[0] == '\0' ? "nobody" : core->durable.claim.leader,
				  core->local.timeline, n->gate ? "open" : "shut", pgha_receiver_name(n->receiver),
				  n->receiver == PGHA_RECEIVER_STREAMING ? " from " : "",
				  n->receiver == PGHA_RECEIVER_STREAMING ? n->settings.name[n->upstream] : "",
				  n->witness ? "votes" : core->local.in_recovery ? pgha_bar_text(core->bar) : "leads");
	}
	fprintf(world->trace, "         * lost: %d acknowledged commits\n",
			world->lost_async + world->lost_other);
}

static const Command commands[] = {
	{"cluster", 2, run_cluster, "cluster N [witnesses=N: the members vote, the last N have no data] [heartbeat=T] [failure_timeout=T] [startup_grace=T]"},
	{"start", 2, run_on_nodes, "start NODE..."},
	{"stop", 2, run_on_nodes, "stop NODE...: fast shutdown"},
	{"kill", 2, run_on_nodes, "kill NODE...: SIGKILL of all processes"},
	{"power-off", 2, run_on_nodes, "power-off NODE..."},
	{"damage-state", 2, run_on_nodes, "damage-state NODE...: pgha.state, while the server is down"},
	{"lose-wal", 2, run_on_nodes, "lose-wal NODE...: of a standby, while the server is down"},
	{"forget-state", 2, run_on_nodes, "forget-state NODE...: pgha.state is removed, while the server is down"},
	{"backend-crash", 2, run_on_nodes, "backend-crash NODE...: restart_after_crash"},
	{"drop-stream", 2, run_on_nodes, "drop-stream NODE...: the WAL receiver loses its connection"},
	{"freeze", 2, run_on_nodes, "freeze NODE..."},
	{"hang", 2, run_on_nodes, "hang NODE...: the monitor, for 10s"},
	{"unable", 2, run_on_nodes, "unable NODE...: to ask anybody, for 10s"},
	{"reject", 3, run_reject, "reject NODE NODE on|off: a firewall refuses in the second one's place"},
	{"no-name", 3, run_no_name, "no-name NODE NODE on|off: the first one cannot look up the second one's name"},
	{"thaw", 2, run_on_nodes, "thaw NODE..."},
	{"pause", 2, run_on_nodes, "pause NODE: pgha_pause()"},
	{"resume", 2, run_on_nodes, "resume NODE: pgha_resume()"},
	{"promote", 2, run_on_nodes, "promote NODE: pgha_promote()"},
	{"promote-force", 2, run_on_nodes, "promote-force NODE: pgha_promote(true)"},
	{"switchover", 2, run_switchover, "switchover NODE [TARGET]: pgha_switchover() there, to the best"},
	{"pg_promote", 2, run_on_nodes, "pg_promote NODE: past pgha"},
	{"cut", 3, run_cut, "cut NODE NODE [one-way]"},
	{"heal", 1, run_heal, "heal"},
	{"set", 4, run_set, "set NODE NAME VALUE"},
	{"sync", 2, run_sync, "sync FIRST|ANY K NODE... | sync none"},
	{"writes", 2, run_writes, "writes on|off"},
	{"run", 2, run_run, "run TIME | run until NODE STATE [TIME]"},
	{"status", 1, run_status, "status"},
};

static void
run_command(Script *script, const char *line)
{
	char		text[400];
	char	   *word[MAX_WORDS];
	int			count = 0;

	snprintf(text, sizeof(text), "%s", line);
	for (char *w = strtok(text, " \t\n"); w != NULL && count < MAX_WORDS; w = strtok(NULL, " \t\n"))
		word[count++] = w;
	if (count == 0)
		return;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
	{
		if (strcmp(commands[i].name, word[0]) != 0)
			continue;
		if (script->world->count == 0 && commands[i].run != run_cluster)
			complain(script, "no cluster yet", NULL);
		else if (count < commands[i].words)
			complain(script, commands[i].usage, NULL);
		else
			commands[i].run(script, count, word);
		return;
	}
	complain(script, "no such command", word[0]);
}

/* ---- the file ---- */

/* Runs one block's commands; returns what happened, to be freed. */
static char *
run_block(Script *script, char *const *line, int count, int first)
{
	SimWorld   *world = script->world;
	char	   *text = NULL;
	size_t		size = 0;

	world->trace = open_memstream(&text, &size);
	if (world->trace == NULL)
		abort();
	for (int i = 0; i < count; i++)
	{
		script->line = first + i + 1;
		run_command(script, line[i]);
	}
	if (world->violation[0] != '\0')
	{
		fprintf(stderr, "%s:%d: violation of %s: %s\n", script->path, script->line,
				world->invariant, world->violation);
		script->failed = true;
	}
	fclose(world->trace);
	world->trace = NULL;
	return text;
}

static char *
read_file(const char *path)
{
	FILE	   *file = fopen(path, "r");
	char	   *text = calloc(1, 1 << 20);

	if (file == NULL || text == NULL || fread(text, 1, (1 << 20) - 1, file) == 0)
	{
		fprintf(stderr, "could not read %s\n", path);
		free(text);
		text = NULL;
	}
	if (file != NULL)
		fclose(file);
	return text;
}

/* Prints the first line in which two texts differ. */
static void
show_difference(const char *path, int line, const char *expected, const char *got)
{
	while (*expected != '\0' || *got != '\0')
	{
		int			e = (int) strcspn(expected, "\n");
		int			g = (int) strcspn(got, "\n");

		if (e != g || strncmp(expected, got, (size_t) e) != 0)
		{
			fprintf(stderr, "%s:%d: expected: %.*s\n%s:%d:      got: %.*s\n",
					path, line, e, expected, path, line, g, got);
			return;
		}
		expected += e + (expected[e] == '\n');
		got += g + (got[g] == '\n');
		line++;
	}
}

bool
sim_script(const char *path, bool rewrite, bool verbose, SimTransitions made)
{
	Script		script = {NULL, path, 0, false};
	char	   *text = read_file(path);
	char	   *line[4000];
	int			count = 0;
	char	   *result = NULL;
	size_t		size = 0;
	FILE	   *out;
	FILE	   *file;

	if (text == NULL)
		return false;
	script.world = calloc(1, sizeof(SimWorld));
	out = open_memstream(&result, &size);
	if (script.world == NULL || out == NULL)
		abort();
	for (char *at = text; *at != '\0' && count < 4000;)
	{
		line[count++] = at;
		at += strcspn(at, "\n");
		if (*at == '\n')
			*at++ = '\0';
	}

	for (int i = 0; i < count;)
	{
		int			commands_end;
		int			block_end;
		char	   *got;
		char		expected[1 << 16] = "";

		if (line[i][0] == '#' || line[i][0] == '\0')
		{
			fprintf(out, "%s\n", line[i++]);
			continue;
		}
		for (commands_end = i; commands_end < count && strcmp(line[commands_end], "----") != 0; commands_end++)
			fprintf(out, "%s\n", line[commands_end]);
		got = run_block(&script, line + i, commands_end - i, i);
		fprintf(out, "----\n%s", got);
		for (block_end = commands_end + 1; block_end < count && line[block_end][0] != '\0'; block_end++)
		{
			size_t		used = strlen(expected);

			snprintf(expected + used, sizeof(expected) - used, "%s\n", line[block_end]);
		}
		for (int from = 0; from < PGHA_STATE_COUNT; from++)
			for (int to = 0; to < PGHA_STATE_COUNT; to++)
				made[from][to] |= script.world->transition[from][to] > 0;
		if (verbose)
			printf("%s", got);
		if (!rewrite && strcmp(expected, got) != 0)
		{
			show_difference(path, commands_end + 2, expected, got);
			script.failed = true;
			i = count;
		}
		else
			i = block_end;
		free(got);
	}
	fclose(out);
	if (rewrite)
	{
		file = fopen(path, "w");
		if (file == NULL || fwrite(result, 1, size, file) != size)
			abort();
		fclose(file);
	}
	free(result);
	free(text);
	sim_world_free(script.world);
	free(script.world);
	return !script.failed;
}
