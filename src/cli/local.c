/*
 * local.c
 *		The cluster of this host: which it is, and whose, without a connection.
 *
 * For the subcommands that people type without saying where to connect to.  As
 * Debian's programs do (PgCommon.pm), it takes a directory VERSION/NAME with a
 * postgresql.conf below /etc/postgresql for a cluster.
 *
 * Files that belong to another user are not read as root: they may include
 * anything.  It connects to nothing, and changes nothing but, when told, whose this
 * process is.
 */
#include "local.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/log.h"

#define CONF_ROOT		"/etc/postgresql"
#define MAX_CLUSTERS	64
#define MAX_GROUPS		256
#define CLUSTER_SIZE	128

/* ---- whose it is ---- */

/* The owner of the first of these that is there; those of root are skipped. */
static void
find_owner(PghaLocalCluster *local, const char *const *paths)
{
	struct stat st;
	struct passwd *user;

	local->owner_name[0] = '\0';
	for (; *paths != NULL; paths++)
	{
		if (**paths == '\0' || stat(*paths, &st) != 0 || st.st_uid == 0 || (user = getpwuid(st.st_uid)) == NULL)
			continue;
		local->owner = user->pw_uid;
		local->group = user->pw_gid;
		(void) snprintf(local->owner_name, sizeof(local->owner_name), "%s", user->pw_name);
		return;
	}
}

/* What is below, or beside, a data directory, or the directory of the file. */
static void
find_owner_before(PghaLocalCluster *local, const char *data, const char *config_file)
{
	char		beside[PATH_MAX] = "";
	char		above[PATH_MAX] = "";
	const char *path = data != NULL ? data : config_file;
	const char *slash = strrchr(path, '/');
	const char *const paths[] = {path, beside, above, NULL};

	if (data != NULL)
		(void) snprintf(beside, sizeof(beside), "%.4000s.pgha", data);
	if (slash != NULL && slash > path)
		(void) snprintf(above, sizeof(above), "%.*s", (int) (slash - path), path);
	find_owner(local, paths);
}

bool
pgha_local_is_owner(const PghaLocalCluster *local)
{
	return local->owner_name[0] != '\0' && geteuid() == local->owner;
}

/* Reads the files; as root with the effective ids of their owner. */
static bool
read_files(PghaLocalCluster *local, const char *data, const char *config_file, char *error, size_t error_size)
{
	gid_t		groups[MAX_GROUPS];
	gid_t		group = getegid();
	int			count = -1;
	bool		done;

	find_owner_before(local, data, config_file);
	if (geteuid() == 0 && local->owner_name[0] != '\0')
	{
		count = getgroups(MAX_GROUPS, groups);
		if (count < 0 || initgroups(local->owner_name, local->group) != 0 ||
			setegid(local->group) != 0 || seteuid(local->owner) != 0)
		{
			(void) snprintf(error, error_size, "could not take on the rights of user \"%s\": %s", local->owner_name, strerror(errno));
			return false;
		}
	}
	done = pgha_local_conf_read(data, config_file, &local->conf, error, error_size);
	if (count >= 0 && (seteuid(0) != 0 || setegid(group) != 0 || setgroups((size_t) count, groups) != 0))
	{
		(void) snprintf(error, error_size, "could not go back to the rights of root: %s", strerror(errno));
		return false;
	}
	if (done)
	{
		const char *const paths[] = {local->conf.data, local->conf.config_file, NULL};
		PghaLocalCluster	before = *local;

		/* The data directory says it better; if it is gone, what was found before holds. */
		find_owner(local, paths);
		if (local->owner_name[0] == '\0')
		{
			local->owner = before.owner;
			local->group = before.group;
			memcpy(local->owner_name, before.owner_name, sizeof(local->owner_name));
		}
	}
	return done;
}

bool
pgha_local_become_owner(const PghaLocalCluster *local, FILE *errors)
{
	struct passwd *user;

	if (geteuid() != 0)
		return true;
	if (local->owner_name[0] == '\0' || (user = getpwuid(local->owner)) == NULL)
	{
		pgha_error(errors, "Run it as the user that runs the server.",
				   "it is not known whose \"%s\" is, and root does not connect",
				   local->conf.data[0] != '\0' ? local->conf.data : local->conf.config_file);
		return false;
	}
	/* Its password file and certificates are in its home. */
	if (setenv("HOME", user->pw_dir, 1) != 0 || setenv("USER", user->pw_name, 1) != 0 || setenv("LOGNAME", user->pw_name, 1) != 0 ||
		initgroups(user->pw_name, local->group) != 0 || setgid(local->group) != 0 || setuid(local->owner) != 0 ||
		setuid(0) == 0)
	{
		pgha_error(errors, NULL, "could not become user \"%s\": %s", local->owner_name, strerror(errno));
		return false;
	}
	return true;
}

/* ---- which it is ---- */

bool
pgha_local_overruled(void)
{
	const char *host = getenv("PGHOST");

	if (getenv("PGSERVICE") != NULL || getenv("PGHOSTADDR") != NULL)
		return true;
	/* pg_wrapper adds the socket directory and the port of the cluster that it has found. */
	if (getenv("PGCLUSTER") != NULL && host != NULL && host[0] == '/' && strchr(host, ',') == NULL)
		return false;
	return (host != NULL && *host != '\0') || (getenv("PGPORT") != NULL && getenv("PGCLUSTER") == NULL);
}

static bool
take(PghaLocalCluster *local, const char *data, const char *config_file, const char *hint, FILE *errors)
{
	char		error[1024];

	if (!read_files(local, data, config_file, error, sizeof(error)))
	{
		pgha_error(errors, hint, "%s", error);
		return false;
	}
	local->found = true;
	local->self = pgha_voters_find(&local->conf.members, local->conf.node);
	local->witness = local->self != PGHA_NOBODY && local->self >= local->conf.members.count;
	return true;
}

static const char *
conf_root(void)
{
	const char *root = getenv("PG_CLUSTER_CONF_ROOT");

	return root != NULL && *root != '\0' ? root : CONF_ROOT;
}

/* "15/main": a version and a name, which lead out of no directory. */
static bool
is_cluster(const char *cluster)
{
	size_t		digits = strspn(cluster, "0123456789.");
	const char *name = cluster + digits + 1;

	return digits > 0 && isdigit((unsigned char) cluster[0]) && cluster[digits] == '/' && *name != '\0' &&
		*name != '.' && strchr(name, '/') == NULL && strlen(cluster) < CLUSTER_SIZE;
}

/* The cluster that an option or PGCLUSTER names. */
static bool
take_cluster(PghaLocalCluster *local, const char *cluster, const char *said_by, FILE *errors)
{
	char		file[PATH_MAX];

	if (!is_cluster(cluster))
	{
		pgha_error(errors, "Write VERSION/NAME, such as 15/main; pg_lsclusters shows those of this host.",
				   "%s: \"%s\" is not a cluster", said_by, cluster);
		return false;
	}
	if (snprintf(file, sizeof(file), "%s/%s/postgresql.conf", conf_root(), cluster) >= (int) sizeof(file) ||
		!take(local, NULL, file, "pg_lsclusters shows the clusters of this host.", errors))
		return false;
	(void) snprintf(local->cluster, sizeof(local->cluster), "%s", cluster);
	return true;
}

static int
is_name(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* The clusters of this host as "15/main"; how many. */
static int
list_clusters(char clusters[][128])
{
	struct dirent **versions;
	struct dirent **names;
	char		path[PATH_MAX];
	int			count = 0;
	int			version_count = scandir(conf_root(), &versions, is_name, alphasort);

	for (int i = 0; i < version_count; i++)
	{
		int			name_count = -1;

		if (snprintf(path, sizeof(path), "%s/%s", conf_root(), versions[i]->d_name) < (int) sizeof(path))
			name_count = scandir(path, &names, is_name, alphasort);
		for (int j = 0; j < name_count; j++)
		{
			int			length = count < MAX_CLUSTERS ? snprintf(clusters[count], 128, "%s/%s", versions[i]->d_name, names[j]->d_name) : 128;

			if (length < 128 && is_cluster(clusters[count]) &&
				snprintf(path, sizeof(path), "%s/%s/postgresql.conf", conf_root(), clusters[count]) < (int) sizeof(path) &&
				access(path, F_OK) == 0)
				count++;
			free(names[j]);
		}
		if (name_count >= 0)
			free(names);
		free(versions[i]);
	}
	if (version_count >= 0)
		free(versions);
	return count;
}

/* Exactly one that pgha manages.  One whose files cannot be read may be another: then nobody chooses for the user. */
static bool
take_only_cluster(PghaLocalCluster *local, FILE *errors)
{
	char		clusters[MAX_CLUSTERS][128];
	int			count = list_clusters(clusters);
	char		list[1024] = "";
	char		first[128] = "";
	char		unreadable[1024] = "";
	int			managed = 0;

	for (int i = 0; i < count; i++)
	{
		char		file[PATH_MAX];
		char		error[1024];
		size_t		length = strlen(list);

		if (snprintf(file, sizeof(file), "%s/%s/postgresql.conf", conf_root(), clusters[i]) >= (int) sizeof(file))
			continue;
		if (!read_files(local, NULL, file, error, sizeof(error)))
		{
			if (unreadable[0] == '\0')
				memcpy(unreadable, error, sizeof(unreadable));
			continue;
		}
		if (local->conf.node[0] == '\0')
			continue;
		(void) snprintf(list + length, sizeof(list) - length, "%s%.127s (%.63s)", managed > 0 ? ", " : "", clusters[i], local->conf.node);
		if (managed++ == 0)
			memcpy(first, clusters[i], sizeof(first));
	}
	memset(local, 0, sizeof(*local));
	local->self = PGHA_NOBODY;
	if (managed > 1)
		pgha_error(errors, "Say which: --cluster VERSION/NAME, -D DIRECTORY, or PGCLUSTER in the environment.",
				   "this host has several clusters with pgha: %s", list);
	else if (unreadable[0] != '\0')
	{
		pgha_error(errors, "Correct it, or say which cluster is meant: --cluster VERSION/NAME, -D DIRECTORY, or PGCLUSTER in the environment.",
				   "a cluster of this host cannot be read: %s", unreadable);
		return false;
	}
	return managed == 0 || (managed == 1 && take_cluster(local, first, conf_root(), errors));
}

bool
pgha_local_find(const PghaLocalOptions *options, PghaLocalCluster *local, FILE *errors)
{
	const char *data = getenv("PGDATA");
	const char *cluster = getenv("PGCLUSTER");

	memset(local, 0, sizeof(*local));
	local->self = PGHA_NOBODY;
	if (options->data != NULL || options->config_file != NULL)
		return take(local, options->data, options->config_file, "-D names the directory, or --config the file, with the settings of this host's server.", errors);
	if (options->cluster != NULL)
		return take_cluster(local, options->cluster, "--cluster", errors);
	if (data != NULL && *data != '\0')
		return take(local, data, NULL, "PGDATA in the environment names that directory; -D names another one.", errors);
	if (cluster != NULL && *cluster != '\0')
		return take_cluster(local, cluster, "PGCLUSTER", errors);
	return take_only_cluster(local, errors);
}

void
pgha_local_names(const PghaLocalCluster *local, bool voters, char *out, size_t size)
{
	int			count = voters ? local->conf.members.voters : local->conf.members.count;
	size_t		length = 0;

	*out = '\0';
	for (int i = 0; i < count && length < size; i++)
		length += (size_t) snprintf(out + length, size - length, "%s%s", i > 0 ? ", " : "", local->conf.members.member[i].name);
}
