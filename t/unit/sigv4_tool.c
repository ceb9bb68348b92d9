/*
 * sigv4_tool.c
 *		Signs what a test gives it.
 *
 * usage: sigv4_tool
 *			reads lines of fields, separated by tabs and escaped as in COPY: key
 *			id, secret, region, service, time (seconds), body, then header name
 *			and value, …; writes X-Amz-Date and Authorization, or "error"
 *		  sigv4_tool curl URL REGION SERVICE KEY_ID SECRET TOKEN BODY
 *			has libcurl sign and send a request
 */
#include "../../src/common/fields.h"
#include "../../src/net/sigv4.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
sign_line(char *line)
{
	PghaSigv4Header headers[64];
	char		date[PGHA_SIGV4_DATE_SIZE];
	char		authorization[PGHA_SIGV4_AUTHORIZATION_SIZE];
	char	   *cursor = line;
	const char *field[6];
	int			count = 0;
	PghaSigv4Key key;

	for (int i = 0; i < 6; i++)
		field[i] = pgha_line_next(&cursor);
	while (cursor != NULL && count < 64)
	{
		headers[count].name = pgha_line_next(&cursor);
		headers[count++].value = pgha_line_next(&cursor);
	}
	key = (PghaSigv4Key) {field[0], field[1], field[2], field[3]};
	if (pgha_sigv4_sign(&key, (time_t) atoll(field[4]), headers, count, field[5], date, authorization))
		printf("%s\t%s\n", date, authorization);
	else
		puts("error");
	fflush(stdout);
}

static int
with_curl(char **argument)
{
	CURL	   *curl = curl_easy_init();
	struct curl_slist *headers = NULL;
	char		provider[256];
	char		user[512];
	char		token[4200];
	CURLcode	code;

	snprintf(provider, sizeof(provider), "aws:amz:%s:%s", argument[1], argument[2]);
	snprintf(user, sizeof(user), "%s:%s", argument[3], argument[4]);
	snprintf(token, sizeof(token), "X-Amz-Security-Token: %s", argument[5]);
	headers = curl_slist_append(headers, "Content-Type: application/x-www-form-urlencoded; charset=utf-8");
	if (argument[5][0] != '\0')
		headers = curl_slist_append(headers, token);
	curl_easy_setopt(curl, CURLOPT_URL, argument[0]);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_AWS_SIGV4, provider);
	curl_easy_setopt(curl, CURLOPT_USERPWD, user);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, argument[6]);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, 10L);
	code = curl_easy_perform(curl);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	return code == CURLE_OK ? 0 : 1;
}

int
main(int argc, char **argv)
{
	static char line[65536];

	if (argc == 9 && strcmp(argv[1], "curl") == 0)
		return with_curl(argv + 2);
	while (fgets(line, sizeof(line), stdin) != NULL)
	{
		line[strcspn(line, "\n")] = '\0';
		sign_line(line);
	}
	return 0;
}
