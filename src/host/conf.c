/*
 * conf.c
 *		What the agent reads from the server's configuration files, without a server.
 *
 * The files are postgresql.conf, what it includes, and postgresql.auto.conf in
 * the data directory, in PostgreSQL's syntax (conf_syntax.c).  Only the settings in
 * the table below are looked at; the rest is the server's business.  A server that
 * runs has checked the same settings, with better messages.
 */
#include "conf.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/errors.h"
#include "conf_syntax.h"
#include "mark.h"

/* PostgreSQL's own limit (CONF_FILE_MAX_DEPTH). */
#define MAX_DEPTH	10

/* A setting and what the files say of it. */
typedef struct Setting
{
	const char *name;
	char	   *value;			/* NULL: not set */
} Setting;

enum
{
	DATA_DIRECTORY, RESTORE_COMMAND, NODE, CLUSTER, MEMBERS, WITNESSES, CONNINFO, AUTO_REJOIN,
	CLONE_IN_PLACE, KEEP_OLD_DATA, AGENT_DIRECTORY, START_COMMAND, STOP_COMMAND,
	CLONE_COMMAND, CLONE_CHECK, PGPOOL, PGPOOL_USER, PGPOOL_PASSFILE, FAILURE_TIMEOUT, ADDRESS,
	EC2_ENDPOINT, IMDS_ENDPOINT, EC2_INSECURE, FENCE, FENCE_TIMEOUT, SERVER_LOG, SOCKETS, PORT,
	AGENT_LOG_FORMAT, NOTIFY_COMMAND, NOTIFY_EVENTS, NOTIFY_TIMEOUT,
	HTTP, HTTP_TLS_CERT, HTTP_TLS_KEY,
	FIRST_NAMED_FILE, SETTINGS = FIRST_NAMED_FILE + 7
};

typedef struct Reader
{
	PghaAgentConf *conf;
	Setting		setting[SETTINGS];
	const char *replaced;		/* the text of this file ... */
	const char *instead;		/* ... is read from here; NULL: of none */
	PghaConfLines *lines;		/* NULL: nobody asks where settings stand */
	char	   *error;
	size_t		error_size;
} Reader;

static const char *const setting_names[SETTINGS] = {
	"data_directory", "restore_command", "pgha.node", "pgha.cluster", "pgha.members",
	"pgha.witnesses", "pgha.conninfo", "pgha.auto_rejoin", "pgha.clone_in_place", "pgha.keep_old_data",
	"pgha.agent_directory", "pgha.start_command", "pgha.stop_command", "pgha.clone_command",
	"pgha.clone_check",
	"pgha.pgpool", "pgha.pgpool_user", "pgha.pgpool_passfile", "pgha.failure_timeout",
	"pgha.address", "pgha.ec2_endpoint", "pgha.imds_endpoint", "pgha.ec2_insecure", "pgha.fence", "pgha.fence_timeout",
	"pgha.server_log", "unix_socket_directories", "port",
	"pgha.agent_log_format", "pgha.notify_command", "pgha.notify_events", "pgha.notify_timeout",
	"pgha.http", "pgha.http_tls_cert", "pgha.http_tls_key",
	"ssl_cert_file", "ssl_key_file", "ssl_ca_file", "ssl_crl_file", "ssl_dh_params_file", "hba_file", "ident_file"
};

static bool read_file(Reader *reader, const char *path, bool must_exist, int depth);

/* ---- files ---- */

/* `name` as PostgreSQL takes it in an include: relative to the including file. */
static void
resolve(const char *including, const char *name, char *path, size_t size)
{
	const char *slash = strrchr(including, '/');

	if (name[0] == '/' || slash == NULL)
		snprintf(path, size, "%s", name);
	else
		snprintf(path, size, "%.*s/%s", (int) (slash - including), including, name);
}

static int
is_conf_file(const struct dirent *entry)
{
	size_t		length = strlen(entry->d_name);

	return entry->d_name[0] != '.' && length > 5 && strcmp(entry->d_name + length - 5, ".conf") == 0;
}

static bool
read_directory(Reader *reader, const char *path, int depth)
{
	struct dirent **entries;
	int			count = scandir(path, &entries, is_conf_file, alphasort);
	bool		done = true;

	if (count < 0)
		return pgha_fail(reader->error, reader->error_size,
						 "could not read directory \"%s\": %s", path, strerror(errno));
	for (int i = 0; i < count; i++)
	{
		char		file[PATH_MAX];

		if (snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name) < (int) sizeof(file))
			done = done && read_file(reader, file, true, depth);
		free(entries[i]);
	}
	free(entries);
	return done;
}

static bool
take_setting(Reader *reader, const char *file, int line, const char *name, const char *value, int depth)
{
	PghaConfPlace  *places[SETTINGS] = {[NODE] = &reader->conf->node_at, [MEMBERS] = &reader->conf->members_at,
		[WITNESSES] = &reader->conf->witnesses_at};
	char		path[PATH_MAX];

	resolve(file, value, path, sizeof(path));
	if (strcasecmp(name, "include") == 0)
		return read_file(reader, path, true, depth + 1);
	if (strcasecmp(name, "include_if_exists") == 0)
		return read_file(reader, path, false, depth + 1);
	if (strcasecmp(name, "include_dir") == 0)
		return read_directory(reader, path, depth + 1);
	if (reader->lines != NULL && !pgha_conf_lines_add(reader->lines, name, value, file, line))
		return pgha_fail(reader->error, reader->error_size, "out of memory");
	for (int i = 0; i < SETTINGS; i++)
	{
		if (strcasecmp(name, setting_names[i]) == 0)
		{
			free(reader->setting[i].value);
			reader->setting[i].value = strdup(value);
			if (places[i] != NULL)
			{
				(void) snprintf(places[i]->file, PATH_MAX, "%s", file);
				places[i]->line = line;
			}
		}
	}
	return true;
}

static bool
remember_file(Reader *reader, const char *path)
{
	PghaAgentConf *conf = reader->conf;

	if (conf->file_count == PGHA_MAX_CONF_FILES)
		return pgha_fail(reader->error, reader->error_size,
						 "the configuration consists of more than %d files", PGHA_MAX_CONF_FILES);
	conf->file[conf->file_count] = strdup(path);
	if (conf->file[conf->file_count] == NULL)
		return pgha_fail(reader->error, reader->error_size, "out of memory");
	conf->file_count++;
	return true;
}

static bool
read_file(Reader *reader, const char *path, bool must_exist, int depth)
{
	FILE	   *file;
	char	   *line = NULL;
	size_t		size = 0;
	int			number = 0;
	bool		done = true;
	ssize_t		length;

	if (depth > MAX_DEPTH)
		return pgha_fail(reader->error, reader->error_size,
						 "file \"%s\" is included at too many levels", path);
	file = fopen(reader->replaced != NULL && strcmp(path, reader->replaced) == 0 ? reader->instead : path, "re");
	if (file == NULL)
	{
		/* As the server does, which skips it whatever the reason. */
		if (!must_exist)
			return true;
		return pgha_fail(reader->error, reader->error_size,
						 "could not open file \"%s\": %s", path, strerror(errno));
	}
	done = remember_file(reader, path);
	while (done && (length = getline(&line, &size, file)) >= 0)
	{
		char	   *name;
		char	   *value;

		number++;
		while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r'))
			line[--length] = '\0';
		name = malloc((size_t) length + 1);
		value = malloc((size_t) length + 1);
		if (name == NULL || value == NULL)
			done = pgha_fail(reader->error, reader->error_size, "out of memory");
		else if (!pgha_conf_split_line(line, name, value))
			done = pgha_fail(reader->error, reader->error_size,
							 "syntax error in file \"%s\", line %d", path, number);
		else
			done = *name == '\0' || take_setting(reader, path, number, name, value, depth);
		free(name);
		free(value);
	}
	if (done && ferror(file))
		done = pgha_fail(reader->error, reader->error_size, "could not read file \"%s\": %s", path, strerror(errno));
	free(line);
	(void) fclose(file);
	return done;
}

/* ---- values ---- */

static const char *
value_of(const Reader *reader, int which, const char *otherwise)
{
	return reader->setting[which].value != NULL ? reader->setting[which].value : otherwise;
}

static bool
copy_value(Reader *reader, int which, const char *otherwise, char *out, size_t size)
{
	if (snprintf(out, size, "%s", value_of(reader, which, otherwise)) < (int) size)
		return true;
	return pgha_fail(reader->error, reader->error_size, "%s is too long", setting_names[which]);
}

/* As parse_bool() does: a word may be cut as long as it is one. */
static bool
take_bool(Reader *reader, int which, bool *out)
{
	static const char *const words[] = {"true", "false", "yes", "no", "on", "off", "1", "0"};
	const char *value = reader->setting[which].value;
	size_t		length;

	*out = false;
	if (value == NULL)
		return true;
	length = strlen(value);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
	{
		if (length > 0 && strncasecmp(words[i], value, length) == 0 &&
			(words[i][0] != 'o' || length > 1))
		{
			*out = i % 2 == 0;
			return true;
		}
	}
	return pgha_fail(reader->error, reader->error_size, "%s is \"%s\": write on or off",
					 setting_names[which], value);
}

/* A time with one of PostgreSQL's units, in milliseconds. */
static bool
take_time(Reader *reader, int which, int otherwise, int *out)
{
	static const struct
	{
		const char *name;
		double		ms;
	}			units[] = {{"", 1}, {"us", 0.001}, {"ms", 1}, {"s", 1000}, {"min", 60000}, {"h", 3600000}, {"d", 86400000}};
	const char *value = reader->setting[which].value;
	char	   *end;
	double		number;
	size_t		length;

	*out = otherwise;
	if (value == NULL)
		return true;
	number = strtod(value, &end);
	while (isspace((unsigned char) *end))
		end++;
	for (length = strlen(end); length > 0 && isspace((unsigned char) end[length - 1]);)
		length--;
	for (size_t i = 0; end != value && i < sizeof(units) / sizeof(units[0]); i++)
	{
		if (strlen(units[i].name) == length && strncmp(end, units[i].name, length) == 0 && number * units[i].ms >= 1 && number * units[i].ms < INT_MAX)
		{
			*out = (int) (number * units[i].ms);
			return true;
		}
	}
	return pgha_fail(reader->error, reader->error_size, "%s is \"%s\": write a time with its unit, such as '3s'",
					 setting_names[which], value);
}

static bool
take_auto_rejoin(Reader *reader, PghaAutoRejoin *out)
{
	const char *value = value_of(reader, AUTO_REJOIN, "rewind");

	if (strcasecmp(value, "off") == 0)
		*out = PGHA_REJOIN_OFF;
	else if (strcasecmp(value, "rewind") == 0)
		*out = PGHA_REJOIN_REWIND;
	else if (strcasecmp(value, "clone") == 0)
		*out = PGHA_REJOIN_CLONE;
	else
		return pgha_fail(reader->error, reader->error_size,
						 "pgha.auto_rejoin is \"%s\": write off, rewind or clone", value);
	return true;
}

static bool
take_address(Reader *reader)
{
	PghaAgentConf *conf = reader->conf;
	char		reason[400];

	if (!copy_value(reader, ADDRESS, "", conf->address, sizeof(conf->address)))
		return false;
	if (!pgha_address_spec_parse(conf->address, &conf->address_spec, reason, sizeof(reason)))
		return pgha_fail(reader->error, reader->error_size, "pgha.address: %s", reason);
	for (int i = 0; i < conf->members.count; i++)
		if (pgha_address_spec_is_host(&conf->address_spec, conf->members.member[i].host))
			return pgha_fail(reader->error, reader->error_size,
							 "pgha.address is the address of member \"%s\"", conf->members.member[i].name);
	return true;
}

static bool
take_fence(Reader *reader)
{
	const char *value = value_of(reader, FENCE, "off");

	reader->conf->fence_by_ec2 = strcasecmp(value, "ec2-stop") == 0;
	return reader->conf->fence_by_ec2 || strcasecmp(value, "off") == 0 ||
		pgha_fail(reader->error, reader->error_size, "pgha.fence is \"%s\": write off or ec2-stop", value);
}

static bool
take_log_format(Reader *reader)
{
	const char *value = value_of(reader, AGENT_LOG_FORMAT, "text");

	reader->conf->log_json = strcasecmp(value, "json") == 0;
	return reader->conf->log_json || strcasecmp(value, "text") == 0 ||
		pgha_fail(reader->error, reader->error_size, "pgha.agent_log_format is \"%s\": write text or json", value);
}

static bool
take_notify(Reader *reader)
{
	PghaAgentConf *conf = reader->conf;
	char		reason[256];

	if (!copy_value(reader, NOTIFY_COMMAND, "", conf->notify_command, sizeof(conf->notify_command)) ||
		!take_time(reader, NOTIFY_TIMEOUT, 30000, &conf->notify_timeout_ms))
		return false;
	if (conf->notify_timeout_ms < 1000)
		return pgha_fail(reader->error, reader->error_size, "pgha.notify_timeout is below 1 s");
	return pgha_event_kinds_parse(value_of(reader, NOTIFY_EVENTS, ""), &conf->notify_events, reason, sizeof(reason)) ||
		pgha_fail(reader->error, reader->error_size, "pgha.notify_events: %s", reason);
}

static bool
take_http(Reader *reader)
{
	PghaAgentConf *conf = reader->conf;
	char		reason[400];

	if (!copy_value(reader, HTTP, "", conf->http, sizeof(conf->http)) ||
		!copy_value(reader, HTTP_TLS_CERT, "", conf->http_tls_cert, sizeof(conf->http_tls_cert)) ||
		!copy_value(reader, HTTP_TLS_KEY, "", conf->http_tls_key, sizeof(conf->http_tls_key)))
		return false;
	if (!pgha_listen_parse(conf->http, &conf->http_listen, reason, sizeof(reason)))
		return pgha_fail(reader->error, reader->error_size, "pgha.http: %s", reason);
	return pgha_listen_tls_check(conf->http_tls_cert, conf->http_tls_key, reader->error, reader->error_size);
}

static bool
take_members(Reader *reader)
{
	PghaAgentConf *conf = reader->conf;
	const char *node = value_of(reader, NODE, "");
	char		reason[400];

	if (*node == '\0')
		return pgha_fail(reader->error, reader->error_size,
						 "pgha.node is not set in \"%s\": write pgha.node = 'db-1'", conf->config_file);
	if (*value_of(reader, MEMBERS, "") == '\0')
		return pgha_fail(reader->error, reader->error_size,
						 "pgha.members is not set in \"%s\": write all nodes, the same on each of them",
						 conf->config_file);
	if (!pgha_members_parse(value_of(reader, MEMBERS, ""), &conf->members, reason, sizeof(reason)))
		return pgha_fail(reader->error, reader->error_size, "pgha.members: %s", reason);
	if (!pgha_witnesses_parse(value_of(reader, WITNESSES, ""), &conf->members, reason, sizeof(reason)))
		return pgha_fail(reader->error, reader->error_size, "pgha.witnesses: %s", reason);
	conf->self = pgha_voters_find(&conf->members, node);
	conf->witness = conf->self >= conf->members.count;
	if (conf->self == PGHA_NOBODY)
		return pgha_fail(reader->error, reader->error_size,
						 "pgha.node \"%.64s\" is not one of pgha.members", node);
	return pgha_conninfo_check(value_of(reader, CONNINFO, ""), reader->error, reader->error_size);
}

static bool
take_values(Reader *reader)
{
	PghaAgentConf *conf = reader->conf;

	return take_members(reader) &&
		take_auto_rejoin(reader, &conf->auto_rejoin) &&
		take_bool(reader, CLONE_IN_PLACE, &conf->clone_in_place) &&
		take_bool(reader, KEEP_OLD_DATA, &conf->keep_old_data) &&
		take_bool(reader, EC2_INSECURE, &conf->ec2_insecure) &&
		take_time(reader, FAILURE_TIMEOUT, 3000, &conf->failure_timeout_ms) &&
		take_address(reader) &&
		take_fence(reader) &&
		take_log_format(reader) &&
		take_notify(reader) &&
		take_http(reader) &&
		take_time(reader, FENCE_TIMEOUT, 120000, &conf->fence_timeout_ms) &&
		copy_value(reader, EC2_ENDPOINT, "", conf->ec2_endpoint, sizeof(conf->ec2_endpoint)) &&
		copy_value(reader, IMDS_ENDPOINT, "", conf->imds_endpoint, sizeof(conf->imds_endpoint)) &&
		copy_value(reader, CLUSTER, "main", conf->cluster, sizeof(conf->cluster)) &&
		copy_value(reader, CONNINFO, "", conf->conninfo, sizeof(conf->conninfo)) &&
		copy_value(reader, START_COMMAND, "", conf->start_command, sizeof(conf->start_command)) &&
		copy_value(reader, STOP_COMMAND, "", conf->stop_command, sizeof(conf->stop_command)) &&
		copy_value(reader, CLONE_COMMAND, "", conf->clone_command, sizeof(conf->clone_command)) &&
		copy_value(reader, CLONE_CHECK, "", conf->clone_check, sizeof(conf->clone_check)) &&
		copy_value(reader, PGPOOL, "", conf->pgpool, sizeof(conf->pgpool)) &&
		copy_value(reader, PGPOOL_USER, "pgha", conf->pgpool_user, sizeof(conf->pgpool_user)) &&
		copy_value(reader, PGPOOL_PASSFILE, "", conf->pgpool_passfile, sizeof(conf->pgpool_passfile)) &&
		copy_value(reader, ADDRESS, "", conf->address, sizeof(conf->address)) &&
		copy_value(reader, EC2_ENDPOINT, "", conf->ec2_endpoint, sizeof(conf->ec2_endpoint)) &&
		copy_value(reader, IMDS_ENDPOINT, "", conf->imds_endpoint, sizeof(conf->imds_endpoint)) &&
		copy_value(reader, SERVER_LOG, "", conf->server_log, sizeof(conf->server_log)) &&
		(conf->server_log[0] == '\0' || conf->server_log[0] == '/' ||
		 pgha_fail(reader->error, reader->error_size, "pgha.server_log is not an absolute path")) &&
		copy_value(reader, RESTORE_COMMAND, "", conf->restore_command, sizeof(conf->restore_command));
}

/* ---- places ---- */

/* An absolute path without a slash at its end; what exists of it, without symbolic links. */
static bool
absolute(Reader *reader, const char *path, char *out)
{
	char		joined[PATH_MAX];
	char	   *slash;
	char	   *parent;
	size_t		length;

	if (path[0] == '/')
		length = (size_t) snprintf(joined, sizeof(joined), "%s", path);
	else
	{
		char		here[PATH_MAX];

		if (getcwd(here, sizeof(here)) == NULL)
			return pgha_fail(reader->error, reader->error_size, "could not get the current directory: %s",
							 strerror(errno));
		length = (size_t) snprintf(joined, sizeof(joined), "%s/%s", here, path);
	}
	if (length >= sizeof(joined))
		return pgha_fail(reader->error, reader->error_size, "path \"%.100s...\" is too long", path);
	while (length > 1 && joined[length - 1] == '/')
		joined[--length] = '\0';

	if (realpath(joined, out) != NULL)
		return true;

	/* It need not exist, but the directory that it is to be in must. */
	slash = strrchr(joined, '/');
	*slash = '\0';
	parent = realpath(slash == joined ? "/" : joined, NULL);
	if (parent == NULL)
		return pgha_fail(reader->error, reader->error_size, "directory \"%s\" cannot be used: %s",
						 joined, strerror(errno));
	length = (size_t) snprintf(out, PATH_MAX, "%s%s%s", parent, parent[1] == '\0' ? "" : "/", slash + 1);
	free(parent);
	return length < PATH_MAX ||
		pgha_fail(reader->error, reader->error_size, "path \"%.100s...\" is too long", path);
}

static bool
is_inside(const char *path, const char *directory)
{
	size_t		length = strlen(directory);

	return strncmp(path, directory, length) == 0 && path[length] == '/';
}

/* The programs stand beside this one. */
static bool
find_programs(Reader *reader)
{
	char	   *bin = reader->conf->bin;
	ssize_t		length = readlink("/proc/self/exe", bin, PATH_MAX - 1);

	if (length <= 0)
		return pgha_fail(reader->error, reader->error_size, "could not find this program's directory: %s",
						 strerror(errno));
	bin[length] = '\0';
	*strrchr(bin, '/') = '\0';
	return true;
}

static bool
take_directory(Reader *reader)
{
	PghaAgentConf *conf = reader->conf;
	const char *directory = value_of(reader, AGENT_DIRECTORY, "");
	char		path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s%s", directory[0] != '\0' ? directory : conf->data,
				 directory[0] != '\0' ? "" : ".pgha") >= (int) sizeof(path))
		return pgha_fail(reader->error, reader->error_size, "pgha.agent_directory is too long");
	if (!absolute(reader, path, conf->directory))
		return false;
	if (is_inside(conf->directory, conf->data) || strcmp(conf->directory, conf->data) == 0)
		return pgha_fail(reader->error, reader->error_size,
						 "pgha.agent_directory is inside of the data directory: it must survive that one");
	return true;
}

/* Files of the data directory that settings name; relative ones are below it. */
static bool
remember_named_files(Reader *reader)
{
	PghaAgentConf *conf = reader->conf;

	for (int i = FIRST_NAMED_FILE; i < SETTINGS; i++)
	{
		const char *name = value_of(reader, i, "");
		char		path[PATH_MAX];
		struct stat st;

		if (*name == '\0' ||
			snprintf(path, sizeof(path), "%s%s%s", name[0] == '/' ? "" : conf->data, name[0] == '/' ? "" : "/", name) >= (int) sizeof(path) ||
			!is_inside(path, conf->data) || stat(path, &st) != 0 || !S_ISREG(st.st_mode))
			continue;
		if (!remember_file(reader, path))
			return false;
	}
	return true;
}

/* Without a password file of its own PCP's is used, like pgpool's programs do. */
static void
default_passfile(PghaAgentConf *conf)
{
	struct passwd *user = getpwuid(geteuid());

	if (conf->pgpool_passfile[0] == '\0' && user != NULL)
		(void) snprintf(conf->pgpool_passfile, sizeof(conf->pgpool_passfile), "%s/.pcppass", user->pw_dir);
}

/*
 * The file `name` of the data directory.  While that is not whole, what stands
 * there may be another node's, or not there: then it is the copy that a recovery
 * made beforehand (settings.c).  False if the path is too long.
 */
static bool
own_file(Reader *reader, const char *data, const char *name, char *path)
{
	const char *directory = value_of(reader, AGENT_DIRECTORY, "");
	char		copy[PATH_MAX];

	if (snprintf(path, PATH_MAX, "%s/%s", data, name) >= PATH_MAX)
		return pgha_fail(reader->error, reader->error_size, "path \"%.100s...\" is too long", data);
	if (snprintf(copy, sizeof(copy), "%s%s/settings/%s", directory[0] != '\0' ? directory : data,
				 directory[0] != '\0' ? "" : ".pgha", name) >= (int) sizeof(copy) ||
		access(copy, R_OK) != 0 || (pgha_mark_is_set(data) == PGHA_MARK_NO && access(path, F_OK) == 0))
		return true;
	memcpy(path, copy, sizeof(copy));
	reader->conf->saved = true;
	return true;
}

/* Reads postgresql.conf, of a data directory or as given. */
static bool
read_main_file(Reader *reader, const char *data, const char *config_file)
{
	PghaAgentConf *conf = reader->conf;
	char		real[PATH_MAX];
	char		path[PATH_MAX];

	if (config_file != NULL)
		return absolute(reader, config_file, conf->config_file) &&
			read_file(reader, conf->config_file, true, 0);
	if (!absolute(reader, data, real) || !own_file(reader, real, "postgresql.conf", path))
		return false;
	if (snprintf(conf->config_file, sizeof(conf->config_file), "%s/postgresql.conf", real) >= (int) sizeof(conf->config_file))
		return pgha_fail(reader->error, reader->error_size, "path \"%.100s...\" is too long", real);
	if (pgha_mark_is_set(real) == PGHA_MARK_SET && !conf->saved)
		return pgha_fail(reader->error, reader->error_size,
						 "the data directory \"%s\" is not whole, its configuration may be another node's:"
						 " give --config with the copy in settings/ of pgha.agent_directory", real);
	return read_file(reader, path, true, 0);
}

static bool
read_all(Reader *reader, const char *data, const char *config_file)
{
	PghaAgentConf *conf = reader->conf;
	char		path[PATH_MAX];

	if (!find_programs(reader) || !read_main_file(reader, data, config_file))
		return false;

	if (data == NULL)
		data = value_of(reader, DATA_DIRECTORY, NULL);
	else if (reader->setting[DATA_DIRECTORY].value != NULL)
		data = reader->setting[DATA_DIRECTORY].value;	/* -D then only says where the file is */
	if (data == NULL)
		return pgha_fail(reader->error, reader->error_size,
						 "the data directory is not known: write data_directory in \"%s\", or give -D",
						 conf->config_file);
	if (!absolute(reader, data, conf->data))
		return false;
	conf->config_outside = !is_inside(conf->config_file, conf->data);

	if (!own_file(reader, conf->data, "postgresql.auto.conf", path) || !read_file(reader, path, false, 0) ||
		!take_values(reader) || !take_directory(reader) || !remember_named_files(reader))
		return false;
	default_passfile(conf);
	return true;
}

/* `faults`: see pgha_agent_conf_read_checked(); `instead` stands for the text of `file`. */
static bool
read_configuration(const char *data, const char *config_file, const char *file, const char *instead,
				   PghaAgentConf *conf, PghaConfFaults *faults, char *error, size_t error_size)
{
	PghaConfLines lines = {.count = 0};
	Reader		reader = {.conf = conf, .replaced = file, .instead = instead, .lines = faults != NULL ? &lines : NULL,
						  .error = error, .error_size = error_size};
	bool		done;

	memset(conf, 0, sizeof(*conf));
	done = read_all(&reader, data, config_file);
	if (faults != NULL)
	{
		faults->count = 0;
		pgha_conf_lines_check(&lines, done ? conf->members.voters : 0, faults);
		if (!done)
			pgha_conf_fault_add(&lines, error, faults);
		pgha_conf_lines_free(&lines);
	}
	for (int i = 0; i < SETTINGS; i++)
		free(reader.setting[i].value);
	if (!done)
		pgha_agent_conf_free(conf);
	return done;
}

bool
pgha_agent_conf_read(const char *data, const char *config_file,
					 PghaAgentConf *conf, char *error, size_t error_size)
{
	return read_configuration(data, config_file, NULL, NULL, conf, NULL, error, error_size);
}

bool
pgha_agent_conf_read_with(const char *data, const char *config_file, const char *file, const char *instead,
						  PghaAgentConf *conf, char *error, size_t error_size)
{
	return read_configuration(data, config_file, file, instead, conf, NULL, error, error_size);
}

bool
pgha_agent_conf_read_checked(const char *data, const char *config_file, PghaAgentConf *conf,
							 PghaConfFaults *faults, char *error, size_t error_size)
{
	return read_configuration(data, config_file, NULL, NULL, conf, faults, error, error_size);
}

/* ---- what it takes to connect ---- */

/* The first directory of unix_socket_directories; a relative one is below the data directory. */
static void
take_socket(Reader *reader, PghaLocalConf *local)
{
	const char *list = value_of(reader, SOCKETS, NULL);
	size_t		length;

	if (list == NULL)
		return;
	list += strspn(list, " \t,");
	local->no_socket = *list == '\0';
	if (*list == '"')
		length = strcspn(++list, "\"");
	else
		for (length = strcspn(list, ","); length > 0 && isspace((unsigned char) list[length - 1]);)
			length--;
	if (length > 0 && (list[0] == '/' || list[0] == '@'))
		(void) snprintf(local->socket, sizeof(local->socket), "%.*s", (int) length, list);
	else if (length > 0)
		(void) snprintf(local->socket, sizeof(local->socket), "%.3000s/%.*s", local->data, (int) length, list);
}

/* What is wrong is left out: the server runs with what it has taken over, and that may be older. */
static void
take_local(Reader *reader, PghaLocalConf *local)
{
	char		error[256];
	const char *conninfo = value_of(reader, CONNINFO, "");

	memcpy(local->config_file, reader->conf->config_file, sizeof(local->config_file));
	take_socket(reader, local);
	local->port = atoi(value_of(reader, PORT, "5432"));
	(void) snprintf(local->node, sizeof(local->node), "%s", value_of(reader, NODE, ""));
	(void) snprintf(local->address, sizeof(local->address), "%s", value_of(reader, ADDRESS, ""));
	if (pgha_conninfo_check(conninfo, error, sizeof(error)))
		(void) snprintf(local->conninfo, sizeof(local->conninfo), "%s", conninfo);
	if (!pgha_members_parse(value_of(reader, MEMBERS, ""), &local->members, error, sizeof(error)) ||
		!pgha_witnesses_parse(value_of(reader, WITNESSES, ""), &local->members, error, sizeof(error)))
		memset(&local->members, 0, sizeof(local->members));
}

bool
pgha_local_conf_read(const char *data, const char *config_file,
					 PghaLocalConf *local, char *error, size_t error_size)
{
	PghaAgentConf conf;
	Reader		reader = {.conf = &conf, .error = error, .error_size = error_size};
	char		path[PATH_MAX];
	bool		done;

	memset(&conf, 0, sizeof(conf));
	memset(local, 0, sizeof(*local));
	done = read_main_file(&reader, data, config_file);
	if (done)
	{
		data = value_of(&reader, DATA_DIRECTORY, data);
		if (data != NULL && !absolute(&reader, data, local->data))
			local->data[0] = '\0';
		else if (data != NULL)
			done = own_file(&reader, local->data, "postgresql.auto.conf", path) && read_file(&reader, path, false, 0);
	}
	if (done)
		take_local(&reader, local);
	for (int i = 0; i < SETTINGS; i++)
		free(reader.setting[i].value);
	pgha_agent_conf_free(&conf);
	return done;
}

void
pgha_agent_conf_free(PghaAgentConf *conf)
{
	for (int i = 0; i < conf->file_count; i++)
		free(conf->file[i]);
	conf->file_count = 0;
}
