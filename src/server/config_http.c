/*
 * config_http.c
 *		The settings pgha.http*, by which the agent answers over HTTP.
 *
 * The agent reads them from the files (host/conf.c); here they are only defined and
 * checked, so that a mistake shows at the server's start or reload.  Whether the
 * files with certificate and key are there, and the port is free, the agent finds out.
 */
#include "postgres.h"

#include "utils/guc.h"

#include "../common/listen.h"
#include "config_http.h"

static char *http = NULL;
static char *http_tls_cert = NULL;
static char *http_tls_key = NULL;

void
PghaConfigHttpInit(void)
{
	DefineCustomStringVariable("pgha.http",
							   "Where the agent answers over HTTP: 'host:port, host:port'; empty: nowhere.",
							   "There is no login: whoever reaches it may read the state of the cluster.",
							   &http, "", PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("pgha.http_tls_cert",
							   "File with the certificate for pgha.http; empty: without TLS.",
							   NULL,
							   &http_tls_cert, "", PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("pgha.http_tls_key",
							   "File with the private key of pgha.http_tls_cert.",
							   NULL,
							   &http_tls_key, "", PGC_SIGHUP, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);
}

/* The sentence becomes part of a message. */
static void
phrase(char *error, size_t error_size, const char *what, const char *reason)
{
	size_t		length;

	snprintf(error, error_size, "%s%s", what, reason);
	length = strlen(error);
	if (length > 0 && error[length - 1] == '.')
		error[length - 1] = '\0';
}

bool
PghaConfigHttpCheck(char *error, size_t error_size, char *hint, size_t hint_size)
{
	PghaListen	listen;
	char		reason[400];

	if (!pgha_listen_parse(http, &listen, reason, sizeof(reason)))
	{
		phrase(error, error_size, "pgha.http cannot be read: ", reason);
		snprintf(hint, hint_size, "Write address and port, as in pgha.http = '10.0.3.21:8008', '0.0.0.0:8008' or '[::]:8008'; or '' for none.");
		return false;
	}
	if (!pgha_listen_tls_check(http_tls_cert, http_tls_key, reason, sizeof(reason)))
	{
		phrase(error, error_size, "", reason);
		snprintf(hint, hint_size, "Write absolute paths of both, as in pgha.http_tls_cert = '/etc/pgha/http.crt' and pgha.http_tls_key = '/etc/pgha/http.key'; or neither.");
		return false;
	}
	return true;
}
