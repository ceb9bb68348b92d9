/*
 * tls.c
 *		Certificate and private key of pgha.http.
 *
 * A key is taken under the conditions under which PostgreSQL takes its own: it
 * belongs to this user and nobody else may read it, or to root and no more than a
 * group may.  Whether certificate and key match the TLS library finds out.
 */
#include "tls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../common/errors.h"

/* A chain of certificates is some kilobytes. */
#define MAX_SIZE	65536

static bool
key_is_private(const struct stat *st)
{
	if (st->st_uid == geteuid())
		return (st->st_mode & (S_IRWXG | S_IRWXO)) == 0;
	return st->st_uid == 0 && (st->st_mode & (S_IWGRP | S_IXGRP | S_IRWXO)) == 0;
}

static bool
read_whole(int fd, char *text, size_t size)
{
	size_t		length = 0;

	while (length < size)
	{
		ssize_t		got = read(fd, text + length, size - length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		length += (size_t) got;
	}
	return true;
}

/* The text of a file, to be freed. */
static char *
load(const char *path, bool is_key, char *error, size_t error_size)
{
	int			fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	char	   *text = NULL;

	if (fd < 0 || fstat(fd, &st) != 0)
		(void) pgha_fail(error, error_size, "could not open file \"%s\": %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > MAX_SIZE)
		(void) pgha_fail(error, error_size, "\"%s\" is no file of certificates or keys", path);
	else if (is_key && !key_is_private(&st))
		(void) pgha_fail(error, error_size, "others may read the private key \"%s\": run chmod 0600, or if it"
						 " belongs to root, chmod 0640", path);
	else if ((text = calloc(1, (size_t) st.st_size + 1)) == NULL)
		(void) pgha_fail(error, error_size, "out of memory");
	else if (!read_whole(fd, text, (size_t) st.st_size) || strstr(text, "-----BEGIN ") == NULL)
	{
		(void) pgha_fail(error, error_size, "file \"%s\" does not hold what it should, in the format PEM", path);
		explicit_bzero(text, (size_t) st.st_size);
		free(text);
		text = NULL;
	}
	if (fd >= 0)
		(void) close(fd);
	return text;
}

bool
pgha_tls_load(const char *cert, const char *key, PghaTls *tls, char *error, size_t error_size)
{
	tls->key = NULL;
	tls->cert = load(cert, false, error, error_size);
	if (tls->cert != NULL)
		tls->key = load(key, true, error, error_size);
	return tls->key != NULL;
}

void
pgha_tls_free(PghaTls *tls)
{
	if (tls->key != NULL)
		explicit_bzero(tls->key, strlen(tls->key));
	free(tls->key);
	free(tls->cert);
	tls->key = tls->cert = NULL;
}
