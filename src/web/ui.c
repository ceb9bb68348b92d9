/*
 * ui.c
 *		GET /ui: one page, in the program itself (ui.html), which asks for nothing but
 *		GET /pgha.
 *
 * What servers say is in that document, never in the page.  Should a text of theirs get
 * into it as markup for all that, the policy keeps it from doing anything: of scripts and
 * styles only those whose hashes are told run.
 */
#include "ui.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

/* The file as it is, with a zero byte behind it. */
__asm__(
	".pushsection .rodata\n"
	"pgha_ui_html:\n"
	".incbin \"src/web/ui.html\"\n"
	".byte 0\n"
	".popsection\n");
extern const char pgha_ui_html[] __attribute__((visibility("hidden")));

/* Base64 of 32 bytes, and what is in front of it. */
#define HASH_SIZE		64

static char policy[512];
static pthread_once_t policy_made = PTHREAD_ONCE_INIT;

/* "sha256-..." of what is between the first two tags of that name, as CSP Level 3 wants it. */
static bool
hash_element(const char *begin, const char *end, char hash[HASH_SIZE])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int length = 0;
	unsigned char text[EVP_MAX_MD_SIZE];
	const char *from = strstr(pgha_ui_html, begin);
	const char *to = from != NULL ? strstr(from, end) : NULL;

	if (to == NULL)
		return false;
	from += strlen(begin);
	if (EVP_Digest(from, (size_t) (to - from), digest, &length, EVP_sha256(), NULL) != 1)
		return false;
	(void) EVP_EncodeBlock(text, digest, (int) length);
	(void) snprintf(hash, HASH_SIZE, "sha256-%.48s", (const char *) text);
	return true;
}

static void
make_policy(void)
{
	char		style[HASH_SIZE];
	char		script[HASH_SIZE];

	if (hash_element("<style>", "</style>", style) && hash_element("<script>", "</script>", script))
		(void) snprintf(policy, sizeof(policy),
						"default-src 'none'; connect-src 'self'; style-src '%s'; script-src '%s';"
						" base-uri 'none'; form-action 'none'; frame-ancestors 'none'", style, script);
}

char *
pgha_ui_page(void)
{
	return strdup(pgha_ui_html);
}

const char *
pgha_ui_policy(void)
{
	(void) pthread_once(&policy_made, make_policy);
	return policy[0] != '\0' ? policy : NULL;
}
