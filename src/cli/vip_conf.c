/*
 * vip_conf.c
 *		Settings of `pgha vip`: options, environment, configuration file.
 *
 * pgpool's watchdog hands over a bare IP address, and runs the same command line
 * on all hosts; what differs, or does not fit in it, stands in the environment or
 * in a file of lines "key = value".
 *
 * For vip.c; it reads, and changes nothing.
 */
#include "vip_conf.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../common/errors.h"

static const char *const names[VIP_SETTINGS] = {
	"address", "kind", "interface", "prefix", "allocation", "tables", "region",
	"profile", "ec2_endpoint", "imds_endpoint", "insecure", "timeout"
};

const char *
pgha_vip_setting_name(PghaVipSetting setting)
{
	return names[setting];
}

bool
pgha_vip_conf_set(PghaVipConf *conf, PghaVipSetting setting, const char *value, char *error, size_t error_size)
{
	if (strlen(value) >= sizeof(conf->value[setting]))
		return pgha_fail(error, error_size, "the value of \"%s\" is too long", names[setting]);
	(void) strcpy(conf->value[setting], value);
	return true;
}

bool
pgha_vip_conf_is_on(const PghaVipConf *conf, PghaVipSetting setting)
{
	return strcmp(conf->value[setting], "on") == 0;
}

/* Sets what is not set yet. */
static bool
fill_in(PghaVipConf *conf, PghaVipSetting setting, const char *value, char *error, size_t error_size)
{
	return conf->value[setting][0] != '\0' || pgha_vip_conf_set(conf, setting, value, error, error_size);
}

static bool
read_environment(PghaVipConf *conf, char *error, size_t error_size)
{
	for (int i = 0; i < VIP_SETTINGS; i++)
	{
		char		variable[64] = "PGHA_VIP_";
		const char *value;

		for (size_t n = 0; names[i][n] != '\0'; n++)
			variable[strlen("PGHA_VIP_") + n] = (char) toupper((unsigned char) names[i][n]);
		value = getenv(variable);
		if (value != NULL && !fill_in(conf, (PghaVipSetting) i, value, error, error_size))
			return false;
	}
	return true;
}

/* ---- the file ---- */

static char *
trim(char *text)
{
	size_t		length;

	text += strspn(text, " \t\r\n");
	length = strlen(text);
	while (length > 0 && strchr(" \t\r\n", text[length - 1]) != NULL)
		text[--length] = '\0';
	/* A pair of quotes around the value is accepted. */
	if (length >= 2 && (text[0] == '\'' || text[0] == '"') && text[length - 1] == text[0])
	{
		text[length - 1] = '\0';
		text++;
	}
	return text;
}

static bool
take_line(PghaVipConf *conf, char *line, char *error, size_t error_size)
{
	char	   *equals;
	char	   *key;

	line += strspn(line, " \t\r\n");
	if (*line == '\0' || *line == '#')
		return true;
	equals = strchr(line, '=');
	if (equals == NULL)
		return pgha_fail(error, error_size, "it is not \"key = value\"");
	*equals = '\0';
	key = trim(line);
	for (int i = 0; i < VIP_SETTINGS; i++)
	{
		if (strcmp(key, names[i]) == 0)
			return fill_in(conf, (PghaVipSetting) i, trim(equals + 1), error, error_size);
	}
	return pgha_fail(error, error_size, "there is no setting \"%.60s\"", key);
}

static bool
read_file(PghaVipConf *conf, const char *path, bool must_exist, char *error, size_t error_size)
{
	FILE	   *file = fopen(path, "re");
	char		line[PGHA_ADDRESS_TEXT_SIZE + 128];
	char		cause[256];
	int			number = 0;
	bool		done = true;

	if (file == NULL && errno == ENOENT && !must_exist)
		return true;
	if (file == NULL)
		return pgha_fail(error, error_size, "could not open file \"%s\": %s", path, strerror(errno));
	while (done && fgets(line, sizeof(line), file) != NULL)
	{
		number++;
		if (strchr(line, '\n') == NULL && !feof(file))
			done = pgha_fail(cause, sizeof(cause), "it is too long");
		else
			done = take_line(conf, line, cause, sizeof(cause));
		if (!done)
			pgha_fail(error, error_size, "line %d of file \"%s\": %s", number, path, cause);
	}
	if (done && ferror(file))
		done = pgha_fail(error, error_size, "could not read file \"%s\": %s", path, strerror(errno));
	(void) fclose(file);
	return done;
}

bool
pgha_vip_conf_complete(PghaVipConf *conf, const char *file, char *error, size_t error_size)
{
	if (!read_environment(conf, error, error_size))
		return false;
	if (file == NULL)
		file = getenv("PGHA_VIP_CONFIG");
	if (!read_file(conf, file != NULL ? file : PGHA_VIP_CONFIG, file != NULL, error, error_size))
		return false;
	return conf->value[VIP_INSECURE][0] == '\0' || strcmp(conf->value[VIP_INSECURE], "off") == 0 ||
		pgha_vip_conf_is_on(conf, VIP_INSECURE) ||
		pgha_fail(error, error_size, "\"insecure\" is \"%.60s\": write on or off", conf->value[VIP_INSECURE]);
}

/* ---- the address ---- */

/* Writes the whole text of an address of this kind; `body` is what stood behind the kind. */
static bool
compose(const PghaVipConf *conf, PghaAddressKind kind, const char *body, char *text, size_t size)
{
	const char *word = pgha_address_kind_word(kind);
	const char *interface = conf->value[VIP_INTERFACE];
	const char *prefix = conf->value[VIP_PREFIX];
	const char *at = strchr(body, '@');
	int			length = at != NULL ? (int) (at - body) : (int) strlen(body);
	const char *where = at != NULL ? at + 1 : kind == PGHA_ADDRESS_EC2_ROUTE ? conf->value[VIP_TABLES] : interface;
	bool		add_prefix = kind == PGHA_ADDRESS_LOCAL && memchr(body, '/', (size_t) length) == NULL && prefix[0] != '\0';

	/* The Elastic IP is known by its allocation alone. */
	if (kind == PGHA_ADDRESS_EC2_ELASTIC)
		return snprintf(text, size, "%s:%s", word,
						strncmp(body, "eipalloc-", strlen("eipalloc-")) == 0 ? body : conf->value[VIP_ALLOCATION]) < (int) size;
	return snprintf(text, size, "%s:%.*s%s%s%s%s", word, length, body, add_prefix ? "/" : "", add_prefix ? prefix : "",
					where[0] != '\0' ? "@" : "", where) < (int) size;
}

bool
pgha_vip_conf_address(const PghaVipConf *conf, const char *argument, PghaAddressSpec *spec,
					  char *error, size_t error_size)
{
	const char *kind_word = conf->value[VIP_KIND];
	PghaAddressKind kind;
	size_t		length;
	char		text[PGHA_ADDRESS_TEXT_SIZE * 2];

	if (argument == NULL || *argument == '\0')
		argument = conf->value[VIP_ADDRESS];
	if (*argument == '\0')
		return pgha_fail(error, error_size, "there is no address: give one, or write \"address = ...\" into %s", PGHA_VIP_CONFIG);
	length = strcspn(argument, ":");
	kind = argument[length] == ':' ? pgha_address_kind_find(argument, length) : PGHA_ADDRESS_NONE;
	if (kind != PGHA_ADDRESS_NONE)
		argument += length + 1;
	else if (kind_word[0] == '\0')
		kind = PGHA_ADDRESS_LOCAL;
	else if ((kind = pgha_address_kind_find(kind_word, strlen(kind_word))) == PGHA_ADDRESS_NONE)
		return pgha_fail(error, error_size, "\"%.40s\" is no kind of address: write ec2, ec2-elastic, ec2-route or local", kind_word);

	if (kind == PGHA_ADDRESS_LOCAL && strchr(argument, '@') == NULL && conf->value[VIP_INTERFACE][0] == '\0')
		return pgha_fail(error, error_size, "it is not known on which interface \"%.60s\" belongs: write --interface=NAME, "
						 "or \"interface = NAME\" into %s", argument, PGHA_VIP_CONFIG);
	if (!compose(conf, kind, argument, text, sizeof(text)))
		return pgha_fail(error, error_size, "the address is too long");
	return pgha_address_spec_parse(text, spec, error, error_size);
}
