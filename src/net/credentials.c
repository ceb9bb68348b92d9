/*
 * credentials.c
 *		Credentials for AWS, from where its own tools take them.
 *
 * In this order, the first that is there:
 *
 *		a profile that the settings name	the shared credentials file, nothing else
 *		the environment						AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
 *											AWS_SESSION_TOKEN
 *		the shared credentials file			the profile AWS_PROFILE, or "default"
 *		the instance's role					the metadata service
 *
 * What is there but cannot be used is an error: going on to the next source
 * would act with another identity than the operator chose.
 *
 * The metadata service has a role's next credentials at least five minutes before
 * the old ones end.
 */
#include "credentials.h"

#include <ctype.h>
#include <jansson.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common/clock.h"
#include "../common/errors.h"
#include "http.h"

/* Renewal starts that long before the end, and is tried that often. */
#define RENEW_SECONDS		600
#define RENEW_INTERVAL_MS	30000

#define FILE_SIZE			65536
#define PATH_SIZE			512
#define ROLE_SIZE			128

typedef enum Found
{
	FOUND,
	FOUND_NONE,					/* this source has nothing to say */
	FOUND_BAD					/* it has, but it cannot be used; with a sentence */
} Found;

void
pgha_credentials_init(PghaCredentialStore *store, const char *profile, PghaImds *imds)
{
	memset(store, 0, sizeof(*store));
	(void) snprintf(store->profile, sizeof(store->profile), "%s", profile != NULL ? profile : "");
	store->imds = imds;
}

void
pgha_credentials_clear(PghaCredentialStore *store)
{
	explicit_bzero(store, sizeof(*store));
}

static const char *
environment(const char *name)
{
	const char *value = getenv(name);

	return value != NULL ? value : "";
}

/* False if it does not fit, or is no word that can be put into a header. */
static bool
copy_word(const char *value, char *copy, size_t size)
{
	size_t		length = strlen(value);

	for (size_t i = 0; i < length; i++)
	{
		if (!isgraph((unsigned char) value[i]))
			return false;
	}
	if (length >= size)
		return false;
	memcpy(copy, value, length + 1);
	return true;
}

/* ---- the shared files ---- */

/* Trims blanks at both ends of [*start, *end). */
static void
trim(const char **start, const char **end)
{
	while (*start < *end && isspace((unsigned char) **start))
		(*start)++;
	while (*end > *start && isspace((unsigned char) (*end)[-1]))
		(*end)--;
}

static bool
equals(const char *start, const char *end, const char *word)
{
	return strlen(word) == (size_t) (end - start) && memcmp(start, word, (size_t) (end - start)) == 0;
}

/* Is "[ name ]" the line [start, end), whose first character is "["? */
static bool
is_section(const char *start, const char *end, const char *section)
{
	const char *close = memchr(start, ']', (size_t) (end - start));

	if (close == NULL)
		return false;
	start++;
	trim(&start, &close);
	return equals(start, close, section);
}

/* The value if "key = value" is the line [start, end); NULL if not.  Moves *end to its end. */
static const char *
setting(const char *start, const char **end, const char *key)
{
	const char *sign = memchr(start, '=', (size_t) (*end - start));
	const char *value;
	const char *key_end;

	if (sign == NULL)
		return NULL;
	key_end = sign;
	trim(&start, &key_end);
	if (!equals(start, key_end, key))
		return NULL;
	value = sign + 1;
	trim(&value, end);
	return value;
}

bool
pgha_profile_value(const char *text, const char *section, const char *key,
				   char *value, size_t size)
{
	bool		inside = false;

	while (*text != '\0')
	{
		const char *line = text;
		const char *end = line + strcspn(line, "\n");
		const char *found;

		text = *end == '\n' ? end + 1 : end;
		if (*line == '[')
			inside = is_section(line, end, section);
		/* An indented line belongs to a nested setting. */
		if (!inside || isspace((unsigned char) *line) || strchr("#;[", *line) != NULL)
			continue;
		found = setting(line, &end, key);
		if (found == NULL)
			continue;
		if (found == end || (size_t) (end - found) >= size)
			return false;
		memcpy(value, found, (size_t) (end - found));
		value[end - found] = '\0';
		return true;
	}
	return false;
}

/* Path of ~/.aws/NAME, or what the environment variable says. */
static bool
shared_file(const char *variable, const char *name, char *path, size_t size)
{
	const char *home = environment("HOME");
	const struct passwd *user;

	if (*environment(variable) != '\0')
		return snprintf(path, size, "%s", environment(variable)) < (int) size;
	if (*home == '\0')
	{
		user = getpwuid(geteuid());
		if (user == NULL)
			return false;
		home = user->pw_dir;
	}
	return snprintf(path, size, "%s/.aws/%s", home, name) < (int) size;
}

/* Contents, NUL-terminated, for forget_file(); NULL: there is no such file that can be read. */
static char *
read_file(const char *path)
{
	FILE	   *file = fopen(path, "re");
	char	   *text = NULL;
	size_t		length;

	if (file == NULL)
		return NULL;
	/* stdio would keep a copy. */
	(void) setvbuf(file, NULL, _IONBF, 0);
	text = calloc(1, FILE_SIZE);
	if (text != NULL)
	{
		length = fread(text, 1, FILE_SIZE - 1, file);
		text[length] = '\0';
	}
	(void) fclose(file);
	return text;
}

static void
forget_file(char *text)
{
	explicit_bzero(text, FILE_SIZE);
	free(text);
}

bool
pgha_profile_region(const char *profile, char *region, size_t size)
{
	char		path[PATH_SIZE];
	char		section[160];
	char	   *text;
	bool		found;

	if (profile == NULL || *profile == '\0')
		profile = environment("AWS_PROFILE");
	if (*profile == '\0' || strcmp(profile, "default") == 0)
		(void) snprintf(section, sizeof(section), "default");
	else
		(void) snprintf(section, sizeof(section), "profile %s", profile);
	if (!shared_file("AWS_CONFIG_FILE", "config", path, sizeof(path)))
		return false;
	text = read_file(path);
	if (text == NULL)
		return false;
	found = pgha_profile_value(text, section, "region", region, size);
	forget_file(text);
	return found;
}

/* ---- the sources ---- */

static Found
from_environment(PghaCredentials *credentials, char *error, size_t error_size)
{
	const char *id = environment("AWS_ACCESS_KEY_ID");
	const char *secret = environment("AWS_SECRET_ACCESS_KEY");

	if (*id == '\0' && *secret == '\0')
		return FOUND_NONE;
	if (*id != '\0' && *secret != '\0' &&
		copy_word(id, credentials->access_key_id, sizeof(credentials->access_key_id)) &&
		copy_word(secret, credentials->secret_access_key, sizeof(credentials->secret_access_key)) &&
		copy_word(environment("AWS_SESSION_TOKEN"), credentials->session_token,
				  sizeof(credentials->session_token)))
		return FOUND;
	(void) pgha_fail(error, error_size,
					 "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN are incomplete "
					 "or malformed");
	return FOUND_BAD;
}

static Found
parse_profile(const char *text, const char *profile, PghaCredentials *credentials)
{
	char		value[sizeof(credentials->session_token)];
	bool		good;

	if (!pgha_profile_value(text, profile, "aws_access_key_id", credentials->access_key_id,
							sizeof(credentials->access_key_id)))
		return FOUND_NONE;
	good = pgha_profile_value(text, profile, "aws_secret_access_key",
							  credentials->secret_access_key, sizeof(credentials->secret_access_key));
	if (pgha_profile_value(text, profile, "aws_session_token", value, sizeof(value)))
		good = good && copy_word(value, credentials->session_token, sizeof(credentials->session_token));
	good = good && copy_word(credentials->access_key_id, value, sizeof(value)) &&
		copy_word(credentials->secret_access_key, value, sizeof(value));
	explicit_bzero(value, sizeof(value));
	return good ? FOUND : FOUND_BAD;
}

/* `wanted`: the operator named the profile, so it must be there. */
static Found
from_file(const char *profile, bool wanted, PghaCredentials *credentials,
		  char *error, size_t error_size)
{
	char		path[PATH_SIZE];
	char	   *text = NULL;
	Found		found = FOUND_NONE;

	if (shared_file("AWS_SHARED_CREDENTIALS_FILE", "credentials", path, sizeof(path)))
		text = read_file(path);
	if (text != NULL)
	{
		found = parse_profile(text, profile, credentials);
		forget_file(text);
	}
	if (found == FOUND || (found == FOUND_NONE && !wanted))
		return found;
	(void) pgha_fail(error, error_size,
					 "the shared credentials file \"%s\" %s for the profile \"%s\"", path,
					 text == NULL ? "cannot be read" :
					 found == FOUND_NONE ? "has no aws_access_key_id" :
					 "has an incomplete or malformed key", profile);
	return FOUND_BAD;
}

/* Copies a member that is a string, and wipes it: jansson does not. */
static bool
take_member(json_t *object, const char *name, char *value, size_t size)
{
	const char *text = json_string_value(json_object_get(object, name));
	bool		copied;

	if (text == NULL)
		return false;
	copied = *text != '\0' && copy_word(text, value, size);
	explicit_bzero((char *) text, strlen(text));
	return copied;
}

bool
pgha_credentials_parse(const char *json, size_t length, PghaCredentials *credentials)
{
	json_t	   *object = json_loadb(json, length, 0, NULL);
	struct tm	when = {0};
	char		expiration[64];
	const char *end;
	bool		good;

	good = take_member(object, "AccessKeyId", credentials->access_key_id,
					   sizeof(credentials->access_key_id));
	good = take_member(object, "SecretAccessKey", credentials->secret_access_key,
					   sizeof(credentials->secret_access_key)) && good;
	good = take_member(object, "Token", credentials->session_token,
					   sizeof(credentials->session_token)) && good;
	good = take_member(object, "Expiration", expiration, sizeof(expiration)) && good;
	json_decref(object);
	if (!good)
		return false;
	end = strptime(expiration, "%Y-%m-%dT%H:%M:%SZ", &when);
	if (end == NULL || *end != '\0' || when.tm_year < 70 || when.tm_year > 8000)
		return false;
	credentials->expiration = timegm(&when);
	return true;
}

static Found
from_role(PghaImds *imds, PghaCredentials *credentials, char *error, size_t error_size)
{
	static const char directory[] = "iam/security-credentials/";
	char		role[ROLE_SIZE];
	char		path[sizeof(directory) + ROLE_SIZE];
	const char *text;

	switch (pgha_imds_word(imds, directory, role, sizeof(role), error, error_size))
	{
		case PGHA_IMDS_OK:
			break;
		case PGHA_IMDS_ABSENT:
			(void) pgha_fail(error, error_size,
							 "no credentials: this instance has no role, and there are none in the "
							 "environment or the shared credentials file");
			return FOUND_NONE;
		case PGHA_IMDS_FAILED:
			return FOUND_BAD;
	}
	(void) snprintf(path, sizeof(path), "%s%s", directory, role);
	if (pgha_imds_get(imds, path, &text, error, error_size) != PGHA_IMDS_OK)
		return FOUND_BAD;
	if (pgha_credentials_parse(text, strlen(text), credentials))
		return FOUND;
	(void) pgha_fail(error, error_size,
					 "the instance metadata service has no usable credentials for the role \"%s\"", role);
	return FOUND_BAD;
}

static bool
load(PghaCredentialStore *store, PghaCredentials *credentials, char *error, size_t error_size)
{
	const char *profile = environment("AWS_PROFILE");
	Found		found;

	memset(credentials, 0, sizeof(*credentials));
	if (store->profile[0] != '\0')
		return from_file(store->profile, true, credentials, error, error_size) == FOUND;
	found = from_environment(credentials, error, error_size);
	if (found == FOUND_NONE)
		found = from_file(*profile != '\0' ? profile : "default", *profile != '\0', credentials,
						  error, error_size);
	if (found == FOUND_NONE)
		found = from_role(store->imds, credentials, error, error_size);
	return found == FOUND;
}

/* Reads them; *changed: they are other ones than before. */
static bool
reload(PghaCredentialStore *store, bool *changed, char *error, size_t error_size)
{
	PghaCredentials fresh;
	bool		loaded;

	if (store->loaded)
		store->next_refresh = pgha_clock_ms() + RENEW_INTERVAL_MS;
	loaded = load(store, &fresh, error, error_size);
	*changed = loaded &&
		(!store->loaded || memcmp(&fresh, &store->current, sizeof(fresh)) != 0);
	if (*changed)
	{
		memcpy(&store->current, &fresh, sizeof(fresh));
		store->loaded = true;
	}
	explicit_bzero(&fresh, sizeof(fresh));
	return loaded;
}

bool
pgha_credentials_renew(PghaCredentialStore *store, char *error, size_t error_size)
{
	bool		changed;

	(void) reload(store, &changed, error, error_size);
	return changed;
}

bool
pgha_credentials_usable(const PghaCredentialStore *store, time_t now)
{
	return store->loaded && (store->current.expiration == 0 || store->current.expiration > now);
}

/*
 * What has just been read is not refused for its end, even if that seems to have
 * passed: the clock of this host may be wrong, and EC2 will say so.
 */
bool
pgha_credentials_ready(PghaCredentialStore *store, time_t now, char *error, size_t error_size)
{
	char		ignored[256];
	bool		changed;

	if (!pgha_credentials_usable(store, now))
		return reload(store, &changed, error, error_size);
	if (store->current.expiration != 0 && store->current.expiration - now <= RENEW_SECONDS &&
		pgha_clock_ms() >= store->next_refresh)
		(void) reload(store, &changed, ignored, sizeof(ignored));
	return true;
}
