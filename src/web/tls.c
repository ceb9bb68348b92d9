/*
 * tls.c
 *		Certificate and private key of pgha.http.
 *
 * A key is taken under the conditions under which PostgreSQL takes its own: it
 * belongs to this user and nobody else may read it, or to root and no more than a
 * group may.  A pair that does not belong together is none: of one that is renewed
 * file by file there is such a moment.
 */
#include "tls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

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

/* Nobody is there to be asked. */
static int
no_passphrase(char *buffer, int size, int writing, void *arg)
{
	(void) buffer;
	(void) size;
	(void) writing;
	(void) arg;
	return -1;
}

/* Is the first certificate, which is the own one, that of the key? */
static bool
belong_together(const PghaTls *tls)
{
	BIO		   *cert_text = BIO_new_mem_buf(tls->cert, -1);
	BIO		   *key_text = BIO_new_mem_buf(tls->key, -1);
	X509	   *cert = cert_text != NULL ? PEM_read_bio_X509(cert_text, NULL, no_passphrase, NULL) : NULL;
	EVP_PKEY   *key = key_text != NULL ? PEM_read_bio_PrivateKey(key_text, NULL, no_passphrase, NULL) : NULL;
	bool		match = cert != NULL && key != NULL && X509_check_private_key(cert, key) == 1;

	EVP_PKEY_free(key);
	X509_free(cert);
	(void) BIO_free(key_text);
	(void) BIO_free(cert_text);
	ERR_clear_error();
	return match;
}

bool
pgha_tls_load(const char *cert, const char *key, PghaTls *tls, char *error, size_t error_size)
{
	tls->key = NULL;
	tls->cert = load(cert, false, error, error_size);
	if (tls->cert != NULL)
		tls->key = load(key, true, error, error_size);
	if (tls->key == NULL)
		return false;
	return belong_together(tls) ||
		pgha_fail(error, error_size, "certificate \"%s\" and private key \"%s\" cannot be used, or do not belong together", cert, key);
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
