/*
 * listen.c
 *		pgha.http.
 */
#include "test.h"

#include "../../../src/common/listen.h"

#include <stdlib.h>
#include <string.h>

static void
test_lists(void)
{
	static const struct
	{
		const char *text;
		int			count;		/* -1: refused */
		const char *host;		/* of the last one */
		int			port;
	}			lists[] = {
		{"", 0, "", 0},
		{"  ", 0, "", 0},
		{"0.0.0.0:8008", 1, "0.0.0.0", 8008},
		{"10.0.3.21", 1, "10.0.3.21", 8008},
		{"[::]:9000", 1, "::", 9000},
		{"[fd00::1]", 1, "fd00::1", 8008},
		{"db-1.example.com:80", 1, "db-1.example.com", 80},
		{"0.0.0.0:8008, [::]:8008", 2, "::", 8008},
		{" 127.0.0.1:1 ,127.0.0.1:2,\t127.0.0.1:3 , 127.0.0.1:4", 4, "127.0.0.1", 4},
		{"a:1,a:2,a:3,a:4,a:5", -1, NULL, 0},
		{"a:1,a:1", -1, NULL, 0},
		{"a,a:8008", -1, NULL, 0},
		{"a:1,", -1, NULL, 0},
		{"a:1,,b:2", -1, NULL, 0},
		{",", -1, NULL, 0},
		{"a:0", -1, NULL, 0},
		{"a:65536", -1, NULL, 0},
		{"a:x", -1, NULL, 0},
		{"::1", -1, NULL, 0},
		{"[::1", -1, NULL, 0},
		{":8008", -1, NULL, 0},
		{"http://a:1", -1, NULL, 0},
		{"b=a:1", -1, NULL, 0},
	};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
	{
		char	   *text = copy(lists[i].text);
		char		error[256] = "";
		PghaListen	listen;
		bool		read = pgha_listen_parse(text, &listen, error, sizeof(error));
		int			count = read ? listen.count : -1;

		ok(count == lists[i].count && (read || error[0] != '\0') &&
		   (count <= 0 || (strcmp(listen.at[count - 1].host, lists[i].host) == 0 && listen.at[count - 1].port == lists[i].port)),
		   "pgha.http \"%s\": %d, %s", lists[i].text, count, error);
		free(text);
	}
}

void
test_listen(void)
{
	char		error[256];

	test_lists();
	ok(pgha_listen_tls_check("", "", error, sizeof(error)), "no TLS");
	ok(pgha_listen_tls_check("/a", "/b", error, sizeof(error)), "TLS");
	ok(!pgha_listen_tls_check("/a", "", error, sizeof(error)) && !pgha_listen_tls_check("", "/b", error, sizeof(error)), "half of TLS");
	ok(!pgha_listen_tls_check("a", "/b", error, sizeof(error)) && !pgha_listen_tls_check("/a", "b", error, sizeof(error)), "paths that are not absolute");
}
