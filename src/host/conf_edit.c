/*
 * conf_edit.c
 *		Changes the list of pgha.members or pgha.witnesses in the server's configuration files.
 *
 * For the agent, in a process of its own, by order of the primary.  One value of one
 * line is replaced, that of the line that counts; all else in the file stays as it
 * is.  The new file is written beside the former one, and the whole configuration is
 * read with it before it takes that one's place: nothing is left half done, and no
 * configuration is written that the agent itself would refuse.  A list that is
 * not the one that the order starts from is never overwritten, nor is postgresql.auto.conf
 * touched, which is the server's.
 */
#include "conf_edit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/errors.h"
#include "../common/log.h"
#include "conf_syntax.h"
#include "durable.h"

/* Lists are shown up to this length. */
#define SHOWN	300

/* What is being done. */
typedef struct Edit
{
	const char *data;
	const char *config_file;
	const PghaListOrder *order;
	const char *setting;
	PghaAgentConf conf;			/* as it is */
	PghaMembers former;			/* the list as it is */
	char		list[PGHA_LIST_SIZE];	/* as it is to be */
	char		former_list[PGHA_LIST_SIZE];
	PghaConfPlace	place;			/* of the line that is changed */
	bool		below;			/* it stands nowhere: a line is added below that one */
	char		file[PATH_MAX]; /* without symbolic links */
	char		fresh[PATH_MAX];	/* the new file beside it */
	struct stat st;				/* of the file when it was read */
	bool		overtaken;		/* somebody has changed the file meanwhile: nodes of one host may share one */
	char	   *message;
	size_t		message_size;
} Edit;

/* ---- the order ---- */

/* Takes a word off *text. */
static bool
take_word(const char **text, char *word, size_t size)
{
	size_t		length = strcspn(*text, " ");

	if (length == 0 || length >= size || (*text)[length] != ' ')
		return false;
	memcpy(word, *text, length);
	word[length] = '\0';
	*text += length + 1;
	return true;
}

bool
pgha_list_order_parse(const char *text, PghaListOrder *order, char *error, size_t error_size)
{
	char		verb[16];
	char		setting[32];

	if (!take_word(&text, verb, sizeof(verb)) || !take_word(&text, setting, sizeof(setting)) ||
		!take_word(&text, order->node, sizeof(order->node)) ||
		(strcmp(verb, "check") != 0 && strcmp(verb, "write") != 0) ||
		(strcmp(setting, "pgha.members") != 0 && strcmp(setting, "pgha.witnesses") != 0) || !pgha_name_valid(order->node))
		return pgha_fail(error, error_size, "the order cannot be read: the primary may be of another version than this agent");
	order->write = strcmp(verb, "write") == 0;
	order->witnesses = strcmp(setting, "pgha.witnesses") == 0;
	return pgha_members_parse(text, &order->list, error, error_size);
}

/* ---- the list as it is ---- */

static const PghaAddress *
find(const PghaMembers *members, const char *name)
{
	int			found = pgha_members_find(members, name);

	return found != PGHA_NOBODY ? &members->member[found] : NULL;
}

/* May this list be replaced by the other?  They must differ in the one node alone. */
static bool
check_former(Edit *edit)
{
	const PghaAddress *was = find(&edit->former, edit->order->node);
	const PghaAddress *is = find(&edit->order->list, edit->order->node);
	bool		moved = was != NULL && is != NULL && (was->port != is->port || strcasecmp(was->host, is->host) != 0);

	if (!moved && pgha_members_same_without(&edit->former, &edit->order->list, edit->order->node))
		return true;
	return pgha_fail(edit->message, edit->message_size,
					 "%s is '%.*s' here, and differs from '%.*s' in more than that \"%s\" %s", edit->setting,
					 SHOWN, edit->former_list, SHOWN, edit->list, edit->order->node, is != NULL ? "comes" : "goes");
}

static bool
read_former(Edit *edit)
{
	const PghaMembers *members = &edit->conf.members;
	int			first = edit->order->witnesses ? members->count : 0;
	int			end = edit->order->witnesses ? members->voters : members->count;

	edit->former.count = edit->former.voters = end - first;
	memcpy(edit->former.member, members->member + first, (size_t) (end - first) * sizeof(PghaAddress));
	pgha_members_write(&edit->former, 0, edit->former.count, edit->former_list);
	return check_former(edit);
}

/* ---- the place ---- */

/* Was it given to the server that runs, or ran last, when it was started? */
static bool
is_on_command_line(const Edit *edit)
{
	char		path[PATH_MAX + 32];
	char	   *text;
	bool		found;

	(void) snprintf(path, sizeof(path), "%s/postmaster.pid", edit->conf.data);
	if (access(path, F_OK) != 0)
		return false;
	(void) snprintf(path, sizeof(path), "%s/postmaster.opts", edit->conf.data);
	text = pgha_read_file(path, NULL);
	found = text != NULL && strcasestr(text, edit->setting) != NULL;
	free(text);
	return found;
}

static bool
find_place(Edit *edit)
{
	char		automatic[PATH_MAX + 32];
	char		real[PATH_MAX];

	if (edit->conf.saved)
		return pgha_fail(edit->message, edit->message_size, "the data directory is not whole, and its configuration is not this node's");
	edit->place = edit->order->witnesses ? edit->conf.witnesses_at : edit->conf.members_at;
	edit->below = edit->place.line == 0;
	if (edit->below)
		edit->place = edit->conf.node_at;
	if (realpath(edit->place.file, edit->file) == NULL)
		return pgha_fail(edit->message, edit->message_size, "file \"%s\" cannot be used: %s", edit->place.file, strerror(errno));
	(void) snprintf(automatic, sizeof(automatic), "%s/postgresql.auto.conf", edit->conf.data);
	if (realpath(automatic, real) != NULL && strcmp(real, edit->file) == 0)
		return pgha_fail(edit->message, edit->message_size,
						 "%s is set in postgresql.auto.conf, which is changed there by ALTER SYSTEM alone",
						 edit->below ? "pgha.node" : edit->setting);
	if (is_on_command_line(edit))
		return pgha_fail(edit->message, edit->message_size, "it is set on the server's command line, which is stronger than any file");
	return true;
}

/* Whose file it is must stay so. */
static bool
check_file(Edit *edit)
{
	if (stat(edit->file, &edit->st) != 0)
		return pgha_fail(edit->message, edit->message_size, "file \"%s\" cannot be used: %s", edit->file, strerror(errno));
	if (!S_ISREG(edit->st.st_mode) || edit->st.st_nlink != 1 || edit->st.st_uid != geteuid())
		return pgha_fail(edit->message, edit->message_size, "file \"%s\" %s", edit->file,
						 !S_ISREG(edit->st.st_mode) ? "is no regular file" :
						 edit->st.st_nlink != 1 ? "has other hard links" : "belongs to another user");
	return true;
}

/* ---- the text ---- */

/*
 * Where in this line its value stands, with its quotes.  False unless it is a line
 * with this setting.
 */
static bool
find_value(const char *line, size_t length, const char *setting, size_t *from, size_t *end)
{
	char	   *copy = strndup(line, length);
	char	   *name = malloc(length + 1);
	char	   *value = malloc(length + 1);
	bool		found = copy != NULL && name != NULL && value != NULL &&
		pgha_conf_split_line(copy, name, value) && strcasecmp(name, setting) == 0;

	if (found)
	{
		size_t		at = strspn(line, " \t\r\f\v") + strlen(name);

		at += strspn(line + at, " \t\r\f\v");
		if (line[at] == '=')
			at += 1 + strspn(line + at + 1, " \t\r\f\v");
		*from = at;
		if (line[at] != '\'')
			at += strcspn(line + at, " \t\r\n\f\v#");
		else
		{
			for (at++; line[at] != '\'' || line[at + 1] == '\''; at++)
			{
				/* A quote that is doubled, and whatever stands behind a backslash, does not end it. */
				if (line[at] == '\'' || line[at] == '\\')
					at++;
			}
			at++;
		}
		*end = at;
	}
	free(copy);
	free(name);
	free(value);
	return found;
}

/* The text of the file with the new value, malloc'd; NULL with a message. */
static char *
new_text(Edit *edit, size_t *new_length)
{
	size_t		length;
	char	   *text = pgha_read_file(edit->file, &length);
	char	   *result = NULL;
	const char *line = text;
	const char *line_end;
	size_t		from;
	size_t		end;

	for (int i = 1; line != NULL && i < edit->place.line; i++)
	{
		line = strchr(line, '\n');
		line = line != NULL ? line + 1 : NULL;
	}
	if (line == NULL || strlen(text) != length)
	{
		free(text);
		pgha_fail(edit->message, edit->message_size, "file \"%s\" could not be read", edit->file);
		return NULL;
	}
	line_end = line + strcspn(line, "\r\n");
	if (!find_value(line, (size_t) (line_end - line), edit->below ? "pgha.node" : edit->setting, &from, &end))
		pgha_fail(edit->message, edit->message_size, "line %d of file \"%s\" has changed meanwhile", edit->place.line, edit->file);
	else if ((result = malloc(length + PGHA_LIST_SIZE + 64)) == NULL)
		pgha_fail(edit->message, edit->message_size, "out of memory");
	else if (edit->below)
		*new_length = (size_t) sprintf(result, "%.*s%s%s = '%s'%s", (int) (line_end - text), text,
									   *line_end == '\r' ? "\r\n" : "\n", edit->setting, edit->list, line_end);
	else
		*new_length = (size_t) sprintf(result, "%.*s'%s'%s", (int) (line + from - text), text, edit->list, line + end);
	free(text);
	return result;
}

/* ---- the new file ---- */

/* Writes it beside the former one, with that one's owner and mode. */
static bool
write_fresh(Edit *edit, const char *text, size_t length)
{
	int			fd;
	bool		done;
	size_t		written = 0;
	ssize_t		some = 0;

	if (snprintf(edit->fresh, sizeof(edit->fresh), "%s.%s.pgha-new", edit->file,
				 edit->conf.members.member[edit->conf.self].name) >= (int) sizeof(edit->fresh))
		return pgha_fail(edit->message, edit->message_size, "path \"%.100s...\" is too long", edit->file);
	(void) unlink(edit->fresh); /* of one that was killed */
	fd = open(edit->fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0)
	{
		while (written < length && (some = write(fd, text + written, length - written)) > 0)
			written += (size_t) some;
		done = written == length && (edit->st.st_gid == getegid() || fchown(fd, (uid_t) -1, edit->st.st_gid) == 0) &&
			fchmod(fd, edit->st.st_mode & 07777) == 0 && fsync(fd) == 0;
		if (some == 0 && written < length)
			errno = ENOSPC;
		if (done && close(fd) == 0)
			return true;
	}
	(void) pgha_fail(edit->message, edit->message_size, "file \"%s\" could not be written: %s", edit->fresh, strerror(errno));
	if (fd >= 0)
		(void) unlink(edit->fresh);
	return false;
}

/* Reads the whole configuration with the new file: it must be what is wanted. */
static bool
check_fresh(Edit *edit)
{
	static PghaAgentConf fresh;
	const char *self = edit->conf.members.member[edit->conf.self].name;
	char		error[512];
	char		list[PGHA_LIST_SIZE];
	bool		same;

	if (!pgha_agent_conf_read_with(edit->data, edit->config_file, edit->place.file, edit->fresh, &fresh, error, sizeof(error)))
		return pgha_fail(edit->message, edit->message_size, "the new configuration could not be used: %s", error);
	if (edit->order->witnesses)
		pgha_members_write(&fresh.members, fresh.members.count, fresh.members.voters, list);
	else
		pgha_members_write(&fresh.members, 0, fresh.members.count, list);
	same = strcmp(list, edit->list) == 0 && strcmp(fresh.members.member[fresh.self].name, self) == 0 &&
		strcmp(fresh.data, edit->conf.data) == 0;
	pgha_agent_conf_free(&fresh);
	return same || pgha_fail(edit->message, edit->message_size, "the new configuration would not have the new list");
}

/* It takes the other's place, unless somebody has changed that one meanwhile. */
static bool
put_in_place(Edit *edit)
{
	struct stat st;

	if (stat(edit->file, &st) != 0 || st.st_ino != edit->st.st_ino || st.st_size != edit->st.st_size ||
		st.st_mtim.tv_sec != edit->st.st_mtim.tv_sec || st.st_mtim.tv_nsec != edit->st.st_mtim.tv_nsec)
		edit->overtaken = true;
	if (edit->overtaken)
		return pgha_fail(edit->message, edit->message_size, "file \"%s\" has changed meanwhile", edit->file);
	if (rename(edit->fresh, edit->file) != 0)
		return pgha_fail(edit->message, edit->message_size, "could not replace file \"%s\": %s", edit->file, strerror(errno));
	(void) pgha_sync_parent(edit->file);
	pgha_agent_log("%s changed in file \"%s\", line %d, by order of the primary, from '%s' to '%s'", edit->setting, edit->file,
				   edit->place.line + (edit->below ? 1 : 0), edit->former_list, edit->list);
	return true;
}

static bool
change(Edit *edit)
{
	char	   *text;
	size_t		length;
	bool		done;

	if (!check_file(edit) || (text = new_text(edit, &length)) == NULL)
		return false;
	done = write_fresh(edit, text, length);
	free(text);
	if (!done)
		return false;
	done = check_fresh(edit) && (!edit->order->write || put_in_place(edit));
	if (!done || !edit->order->write)
		(void) unlink(edit->fresh);
	if (!done)
		return false;
	(void) snprintf(edit->message, edit->message_size, "%s %s in file \"%s\", line %d",
					edit->order->write ? "changed" : "would change", edit->setting, edit->file,
					edit->place.line + (edit->below ? 1 : 0));
	return true;
}

/* Once, from reading the configuration on. */
static bool
change_once(Edit *edit)
{
	bool		done;

	edit->overtaken = false;
	if (!pgha_agent_conf_read(edit->data, edit->config_file, &edit->conf, edit->message, edit->message_size))
		return false;
	if (!read_former(edit))
		done = false;
	else if (strcmp(edit->list, edit->former_list) == 0)
	{
		(void) snprintf(edit->message, edit->message_size, "unchanged: %s has the list already", edit->setting);
		done = true;
	}
	else
		done = find_place(edit) && change(edit);
	pgha_agent_conf_free(&edit->conf);
	return done;
}

bool
pgha_conf_change_list(const char *data, const char *config_file, const PghaListOrder *order,
					  char *message, size_t message_size)
{
	static Edit edit;

	memset(&edit, 0, sizeof(edit));
	edit.data = data;
	edit.config_file = config_file;
	edit.order = order;
	edit.setting = order->witnesses ? "pgha.witnesses" : "pgha.members";
	edit.message = message;
	edit.message_size = message_size;
	pgha_members_write(&order->list, 0, order->list.count, edit.list);
	return change_once(&edit) || (edit.overtaken && change_once(&edit));
}
