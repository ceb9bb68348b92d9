/*
 * setup_home.c
 *		The place of a node: its data directory and configuration, whose they are,
 *		and what only root can do for it.
 *
 * For `pgha create`, `pgha join` and `pgha leave`.  PostgreSQL does not run as root,
 * and its files are its owner's: called by root, all work is done by a child that has
 * become the owner.  The parent stays root, and does four things for it when asked by
 * one letter: start and stop the server's unit, enable and disable the agent's.
 */
#include "setup_home.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../common/errors.h"
#include "../common/log.h"
#include "../common/program.h"
#include "../host/compat.h"
#include "../host/conf_syntax.h"
#include "../host/process.h"
#include "../host/running.h"
#include "../host/server_ctl.h"
#include "../host/server_log.h"
#include "setup_server.h"

#define SYSTEMCTL_LIMIT_MS	120000

static int	root = -1;			/* in the child: where root is asked */

static const char *
conf_root(void)
{
	const char *given = getenv("PG_CLUSTER_CONF_ROOT");

	return given != NULL && given[0] == '/' ? given : "/etc/postgresql";
}

static const char *
systemctl(void)
{
#ifdef PGHA_TEST_HOOKS
	if (getenv("PGHA_TEST_SYSTEMCTL") != NULL)
		return getenv("PGHA_TEST_SYSTEMCTL");
#endif
	return "/usr/bin/systemctl";
}

static bool
has_systemd(void)
{
#ifdef PGHA_TEST_HOOKS
	if (getenv("PGHA_TEST_SYSTEMCTL") != NULL)
		return true;
#endif
	return access("/run/systemd/system", F_OK) == 0;
}

/* ---- where ---- */

static bool
is_file(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static bool
conf_of(const char *cluster, char *path)
{
	return snprintf(path, PATH_MAX, "%s/%s/postgresql.conf", conf_root(), cluster) < PATH_MAX && is_file(path);
}

/* The cluster to take if none is named: main, or the only one of this version. */
static bool
choose_cluster(char *cluster, size_t size, char *error, size_t error_size)
{
	char		path[PATH_MAX];
	DIR		   *directory;
	struct dirent *entry;
	int			found = 0;

	(void) snprintf(cluster, size, "%d/main", PGHA_OWN_MAJOR);
	if (conf_of(cluster, path))
		return true;
	(void) snprintf(path, sizeof(path), "%s/%d", conf_root(), PGHA_OWN_MAJOR);
	directory = opendir(path);
	while (directory != NULL && (entry = readdir(directory)) != NULL)
	{
		char		one[300];

		(void) snprintf(one, sizeof(one), "%d/%s", PGHA_OWN_MAJOR, entry->d_name);
		if (entry->d_name[0] == '.' || strlen(one) >= size || !conf_of(one, path))
			continue;
		found++;
		(void) snprintf(cluster, size, "%s", one);
	}
	if (directory != NULL)
		(void) closedir(directory);
	return found == 1 ||
		pgha_fail(error, error_size, "there is no cluster %d/main in \"%s\", and %s other one of this version", PGHA_OWN_MAJOR,
				  conf_root(), found == 0 ? "no" : "more than one");
}

/* A line of the file itself: Debian's says where the data are. */
static bool
read_data_directory(const char *file, char *data)
{
	FILE	   *conf = fopen(file, "re");
	char		line[PATH_MAX + 64];
	bool		found = false;

	while (conf != NULL && fgets(line, sizeof(line), conf) != NULL)
	{
		char		name[sizeof(line)];
		char		value[sizeof(line)];

		line[strcspn(line, "\r\n")] = '\0';
		if (pgha_conf_split_line(line, name, value) && strcasecmp(name, "data_directory") == 0)
			found = value[0] == '/' && snprintf(data, PATH_MAX, "%s", value) < PATH_MAX;
	}
	if (conf != NULL)
		(void) fclose(conf);
	return found;
}

static bool
take_cluster(PghaHome *home, const char *cluster, char *error, size_t error_size, char *hint, size_t hint_size)
{
	char		major[16];
	const char *name = strchr(cluster, '/');

	(void) snprintf(major, sizeof(major), "%d/", PGHA_OWN_MAJOR);
	if (strncmp(cluster, major, strlen(major)) != 0)
		return pgha_fail(error, error_size, "cluster \"%.100s\" is not one of version %d, which this program is for", cluster, PGHA_OWN_MAJOR);
	if (strchr(cluster + strlen(major), '/') != NULL || strlen(cluster) >= sizeof(home->debian) ||
		!conf_of(cluster, home->conf.config_file))
	{
		(void) snprintf(hint, hint_size, "As root, \"pg_createcluster %d %.100s\" makes it; pg_lsclusters lists those that are there.", PGHA_OWN_MAJOR, name + 1);
		return pgha_fail(error, error_size, "there is no cluster \"%.100s\" in \"%s\"", cluster, conf_root());
	}
	if (!read_data_directory(home->conf.config_file, home->conf.data))
		return pgha_fail(error, error_size, "file \"%s\" does not say data_directory", home->conf.config_file);
	(void) snprintf(home->debian, sizeof(home->debian), "%s", cluster);
	home->conf.config_outside = true;
	return true;
}

/* Makes it absolute, and follows links; it need not exist, but what it is in must. */
static bool
take_data(PghaHome *home, const char *data, char *error, size_t error_size)
{
	char		path[PATH_MAX];
	char		here[PATH_MAX];
	char		parent[PATH_MAX];
	char	   *slash;
	size_t		length;

	if (data[0] != '/' && getcwd(here, sizeof(here)) == NULL)
		return pgha_fail(error, error_size, "could not get the current directory: %s", strerror(errno));
	length = (size_t) snprintf(path, sizeof(path), "%s%s%s", data[0] == '/' ? "" : here, data[0] == '/' ? "" : "/", data);
	if (length >= PATH_MAX - 64)
		return pgha_fail(error, error_size, "the path of the data directory is too long");
	while (length > 1 && path[length - 1] == '/')
		path[--length] = '\0';
	if (realpath(path, home->conf.data) != NULL)
		return true;
	slash = strrchr(path, '/');
	*slash = '\0';
	if (errno != ENOENT || realpath(slash == path ? "/" : path, parent) == NULL)
		return pgha_fail(error, error_size, "directory \"%s\" cannot be used: %s", data, strerror(errno));
	length = (size_t) snprintf(home->conf.data, PATH_MAX, "%s/%s", parent[1] == '\0' ? "" : parent, slash + 1);
	return length < PATH_MAX - 64 || pgha_fail(error, error_size, "the path of the data directory is too long");
}

/* Is the data directory that of a cluster of Debian's, whose configuration is elsewhere? */
static void
find_debian_of(PghaHome *home)
{
	char		path[PATH_MAX];
	char		data[PATH_MAX];
	DIR		   *directory;
	struct dirent *entry;

	(void) snprintf(path, sizeof(path), "%s/%d", conf_root(), PGHA_OWN_MAJOR);
	directory = opendir(path);
	while (directory != NULL && (entry = readdir(directory)) != NULL)
	{
		char		one[300];

		(void) snprintf(one, sizeof(one), "%d/%s", PGHA_OWN_MAJOR, entry->d_name);
		if (entry->d_name[0] == '.' || strlen(one) >= sizeof(home->debian) || !conf_of(one, path) ||
			!read_data_directory(path, data) || strcmp(data, home->conf.data) != 0)
			continue;
		(void) snprintf(home->debian, sizeof(home->debian), "%s", one);
		(void) snprintf(home->conf.config_file, sizeof(home->conf.config_file), "%s", path);
		home->conf.config_outside = true;
	}
	if (directory != NULL)
		(void) closedir(directory);
}

/* ---- whose ---- */

static bool
find_owner(PghaHome *home, char *error, size_t error_size)
{
	struct stat st;
	struct passwd *owner;
	bool		there = stat(home->conf.data, &st) == 0;

	if (!there && errno != ENOENT)
		return pgha_fail(error, error_size, "directory \"%s\" cannot be used: %s", home->conf.data, strerror(errno));
	if (there && !S_ISDIR(st.st_mode))
		return pgha_fail(error, error_size, "\"%s\" is not a directory", home->conf.data);
	if (!there && home->conf.config_outside)
		there = stat(home->conf.config_file, &st) == 0;
	if (there && st.st_uid != 0)
		owner = getpwuid(st.st_uid);
	else
		owner = geteuid() == 0 ? getpwnam("postgres") : getpwuid(geteuid());
	if (owner == NULL)
		return pgha_fail(error, error_size, there ? "the owner of \"%s\" has no name" : "there is no user \"postgres\" who could own \"%s\"", home->conf.data);
	home->uid = owner->pw_uid;
	home->gid = owner->pw_gid;
	(void) snprintf(home->owner, sizeof(home->owner), "%s", owner->pw_name);
	home->as_root = geteuid() == 0;
	return home->as_root || home->uid == geteuid() ||
		pgha_fail(error, error_size, "\"%s\" belongs to \"%s\"", home->conf.data, home->owner);
}

static bool
has_agent_unit(void)
{
	static const char *const places[] = {"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system",
	"/usr/lib/systemd/system", "/lib/systemd/system"};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
	{
		char		path[128];

		(void) snprintf(path, sizeof(path), "%s/pgha-agent@.service", places[i]);
		if (is_file(path))
			return true;
	}
#ifdef PGHA_TEST_HOOKS
	return getenv("PGHA_TEST_SYSTEMCTL") != NULL;
#else
	return false;
#endif
}

bool
pgha_home_find(PghaHome *home, const char *data, const char *cluster, bool fresh,
			   char *error, size_t error_size, char *hint, size_t hint_size)
{
	char		chosen[128];
	char		path[PATH_MAX + 32];

	(void) snprintf(hint, hint_size, "Name the data directory with -D, or Debian's cluster with --cluster, such as %d/main.", PGHA_OWN_MAJOR);
	if (!pgha_setup_find_programs(&home->conf, error, error_size))
		return false;
	if (data == NULL && cluster == NULL && getenv("PGDATA") != NULL && getenv("PGDATA")[0] != '\0')
		data = getenv("PGDATA");
	/* pg_wrapper keeps --cluster to itself, and says it thus. */
	if (data == NULL && cluster == NULL && getenv("PGCLUSTER") != NULL && getenv("PGCLUSTER")[0] != '\0')
		cluster = getenv("PGCLUSTER");
	if (data == NULL && cluster == NULL)
	{
		if (!choose_cluster(chosen, sizeof(chosen), error, error_size))
			return false;
		cluster = chosen;
	}
	if (data != NULL ? !take_data(home, data, error, error_size) : !take_cluster(home, cluster, error, error_size, hint, hint_size))
		return false;
	if (data != NULL)
	{
		(void) snprintf(home->conf.config_file, sizeof(home->conf.config_file), "%.*s/postgresql.conf", PATH_MAX - 32, home->conf.data);
		if (!is_file(home->conf.config_file))
			find_debian_of(home);
	}
	(void) snprintf(home->conf.directory, sizeof(home->conf.directory), "%.*s.pgha", PATH_MAX - 32, home->conf.data);
	(void) snprintf(hint, hint_size, "Run it as root, or as the user that runs the server.");
	if (!find_owner(home, error, error_size))
		return false;
	(void) snprintf(path, sizeof(path), "%s/PG_VERSION", home->conf.data);
	home->made = access(path, F_OK) == 0;
	if (!home->made && !fresh)
	{
		(void) snprintf(hint, hint_size, "Name another one with -D or --cluster.");
		return pgha_fail(error, error_size, "\"%s\" is not a data directory of PostgreSQL", home->conf.data);
	}
	home->systemd = home->debian[0] != '\0' && has_systemd();
	home->agent_unit = home->systemd && has_agent_unit();
	return true;
}

/* ---- systemd ---- */

/* The unit's name has a dash where the cluster's has a slash. */
static void
unit_of(const PghaHome *home, const char *service, char *unit, size_t size)
{
	(void) snprintf(unit, size, "%s@%s.service", service, home->debian);
	for (char *slash = strchr(unit, '/'); slash != NULL; slash = strchr(slash, '/'))
		*slash = '-';
}

static int
run_systemctl(const PghaHome *home, const char *verb, const char *option, const char *service, char *last, size_t size)
{
	char		unit[192];
	char	   *argv[] = {(char *) systemctl(), (char *) verb, option != NULL ? (char *) option : unit, option != NULL ? unit : NULL, NULL};
	PghaRun		run = {.argv = argv, .limit_ms = SYSTEMCTL_LIMIT_MS};
	int			status;

	unit_of(home, service, unit, sizeof(unit));
	status = pgha_run(&run);
	(void) snprintf(last, size, "%.*s", (int) size - 1, run.last);
	return status;
}

/* As root: what the letter says. */
static int
serve(const PghaHome *home, char letter, char *last, size_t size)
{
	switch (letter)
	{
		case 's':
			return run_systemctl(home, "start", NULL, "postgresql", last, size);
		case 't':
			return run_systemctl(home, "stop", NULL, "postgresql", last, size);
		case 'e':
			return run_systemctl(home, "enable", "--now", "pgha-agent", last, size);
		case 'd':
			return run_systemctl(home, "disable", "--now", "pgha-agent", last, size);
		default:
			(void) snprintf(last, size, "not a wish");
			return 1;
	}
}

typedef struct Reply
{
	int			status;
	char		last[512];
} Reply;

static bool
ask_root(char letter, const char *what, char *error, size_t error_size)
{
	Reply		reply;

	if (write(root, &letter, 1) != 1 || read(root, &reply, sizeof(reply)) != (ssize_t) sizeof(reply))
		return pgha_fail(error, error_size, "the process that runs as root is gone");
	return reply.status == 0 ||
		pgha_fail(error, error_size, "systemctl %s ended with status %d: %s", what, reply.status, reply.last);
}

bool
pgha_home_enable_agent(PghaHome *home, char *error, size_t error_size)
{
	(void) home;
	return ask_root('e', "enable", error, error_size);
}

bool
pgha_home_disable_agent(PghaHome *home, char *error, size_t error_size)
{
	(void) home;
	return ask_root('d', "disable", error, error_size);
}

bool
pgha_home_needs_root(const PghaHome *home)
{
	char		last[512];

	return home->systemd && !home->as_root && run_systemctl(home, "is-active", "--quiet", "postgresql", last, sizeof(last)) == 0;
}

bool
pgha_home_start(PghaHome *home, char *error, size_t error_size)
{
	char		why[PGHA_WHY_SIZE];
	pid_t		pid;

	if (!home->systemd || !home->as_root)
		return pgha_setup_start(&home->conf, error, error_size);
	return ask_root('s', "start", error, error_size) &&
		(pgha_runs(home->conf.data, &pid, why, sizeof(why)) == PGHA_RUNS_YES ||
		 pgha_fail(error, error_size, "the server did not start; see its log"));
}

bool
pgha_home_stop(PghaHome *home, char *error, size_t error_size)
{
	/* So that it goes on logging to the file that everybody watches. */
	pgha_server_log_tend(&home->conf);
	if (home->systemd && home->as_root && !ask_root('t', "stop", error, error_size))
		return false;
	/* One that was not started by its unit. */
	return pgha_setup_stop(&home->conf, error, error_size);
}

/* ---- the agent ---- */

bool
pgha_home_agent_runs(const PghaHome *home)
{
	char		path[PATH_MAX + 32];
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int			fd;
	bool		runs;

	(void) snprintf(path, sizeof(path), "%s/agent.lock", home->conf.directory);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return false;
	runs = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
	(void) close(fd);
	return runs;
}

void
pgha_home_agent_command(const PghaHome *home, char *command, size_t size)
{
	char		unit[192];

	unit_of(home, "pgha-agent", unit, sizeof(unit));
	if (home->agent_unit)
		(void) snprintf(command, size, "systemctl enable --now %s", unit);
	else if (home->conf.config_outside)
		(void) snprintf(command, size, "%s/pgha agent --config %s", home->conf.bin, home->conf.config_file);
	else
		(void) snprintf(command, size, "%s/pgha agent -D %s", home->conf.bin, home->conf.data);
}

/* ---- who does it ---- */

static bool
become_owner(const PghaHome *home)
{
	struct passwd *owner = getpwuid(home->uid);

	if (owner == NULL || initgroups(home->owner, home->gid) != 0 || setgid(home->gid) != 0 || setuid(home->uid) != 0)
		return false;
	/* That of root would have libpq look into its files. */
	(void) setenv("HOME", owner->pw_dir, 1);
	(void) setenv("USER", home->owner, 1);
	(void) setenv("LOGNAME", home->owner, 1);
	return setuid(0) != 0;
}

/* Does what the child asks for, until it ends. */
static int
serve_child(const PghaHome *home, pid_t child, int fd)
{
	int			status;
	char		letter;

	for (;;)
	{
		Reply		reply;
		ssize_t		got = read(fd, &letter, 1);

		/* A signal that we alone have got is for both. */
		if (got < 0 && errno == EINTR)
		{
			(void) kill(child, SIGTERM);
			continue;
		}
		if (got != 1)
			break;

		memset(&reply, 0, sizeof(reply));
		reply.status = serve(home, letter, reply.last, sizeof(reply.last));
		if (write(fd, &reply, sizeof(reply)) != (ssize_t) sizeof(reply))
			break;
	}
	(void) close(fd);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int
pgha_home_run(PghaHome *home, int (*work) (PghaHome *home, void *arg), void *arg)
{
	int			pair[2];
	pid_t		child;

	(void) umask(077);
	if (!home->as_root)
		return work(home, arg);
	(void) fflush(NULL);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0 || (child = fork()) < 0)
	{
		pgha_error(stderr, NULL, "could not start a process: %s", strerror(errno));
		return EXIT_ERROR;
	}
	if (child == 0)
	{
		int			code;

		(void) close(pair[0]);
		root = pair[1];
		if (!become_owner(home))
		{
			pgha_error(stderr, NULL, "could not become the user \"%s\": %s", home->owner, strerror(errno));
			_exit(EXIT_ERROR);
		}
		(void) prctl(PR_SET_PDEATHSIG, SIGTERM);
		code = work(home, arg);
		(void) fflush(NULL);
		_exit(code);
	}
	(void) close(pair[1]);
	/* They are the child's, which gets them as well from a terminal. */
	pgha_setup_catch_signals();
	return serve_child(home, child, pair[0]);
}
