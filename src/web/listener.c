/*
 * listener.c
 *		The sockets of pgha.http, and the threads that answer on them: libmicrohttpd's.
 *
 * One daemon, with one thread, for each address.  Whoever reaches it is a stranger:
 * connections are limited in number, also from one address; so are the size of a
 * request, the time without a byte, and the time that a request may take as a whole.
 * Only GET, HEAD and OPTIONS are answered, nothing is read from a body, and no
 * argument of a request gets into a file, a query or a command.
 */
#include "listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "../common/clock.h"
#include "../common/errors.h"
#include "../common/log.h"
#include "reply.h"
#include "tls.h"

#define MAX_CONNECTIONS		1024	/* of one daemon */
#define MAX_PER_ADDRESS		512
#define MEMORY_PER_CONNECTION	16384	/* the request line and its headers must fit */
#define IDLE_LIMIT_S		10
#define REQUEST_LIMIT_MS	10000
#define MAX_PATH			256
#define RETRY_MS			2000
#define SWEEP_MS			1000
#define BACKLOG				128

/* libmicrohttpd has called these in more than one way. */
#define CONTENT_TOO_LARGE	413
#define URI_TOO_LONG		414
#define TLS_PRIORITIES		"SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

/* A connection, and since when its request is awaited. */
typedef struct Guest
{
	int			fd;
	int64_t		since;
	struct Guest *next;
} Guest;

typedef struct Door
{
	PghaListener *listener;
	struct MHD_Daemon *daemon;	/* NULL: does not listen */
	char		complaint[400]; /* last one logged */
	pthread_mutex_t lock;		/* for the guests */
	Guest	   *guests;
} Door;

struct PghaListener
{
	PghaWebView *view;
	int			count;
	int64_t		retry_at;
	Door		door[PGHA_MAX_LISTEN];
};

/* ---- who is there ---- */

/* In the daemon's thread. */
static void
note_connection(void *cls, struct MHD_Connection *connection, void **socket_context, enum MHD_ConnectionNotificationCode code)
{
	Door	   *door = cls;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	Guest	  **link = &door->guests;
	Guest	   *guest = code == MHD_CONNECTION_NOTIFY_STARTED ? calloc(1, sizeof(*guest)) : *socket_context;

	if (guest == NULL)
		return;
	(void) pthread_mutex_lock(&door->lock);
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
	{
		guest->fd = info != NULL ? info->connect_fd : -1;
		guest->since = pgha_awake_ms();
		guest->next = door->guests;
		door->guests = guest;
		*socket_context = guest;
	}
	else
	{
		while (*link != NULL && *link != guest)
			link = &(*link)->next;
		if (*link != NULL)
			*link = guest->next;
		free(guest);
		*socket_context = NULL;
	}
	(void) pthread_mutex_unlock(&door->lock);
}

/* The next request of a connection has its own time. */
static void
note_request(void *cls, struct MHD_Connection *connection, void **request_context, enum MHD_RequestTerminationCode code)
{
	Door	   *door = cls;
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	Guest	   *guest = info != NULL ? info->socket_context : NULL;

	(void) request_context;
	(void) code;
	(void) pthread_mutex_lock(&door->lock);
	if (guest != NULL)
		guest->since = pgha_awake_ms();
	(void) pthread_mutex_unlock(&door->lock);
}

/* Ends connections that send their request drop by drop.  The daemon closes them: until then the number is theirs. */
static void
sweep(Door *door, int64_t now)
{
	(void) pthread_mutex_lock(&door->lock);
	for (Guest *guest = door->guests; guest != NULL; guest = guest->next)
	{
		if (guest->fd >= 0 && now - guest->since > REQUEST_LIMIT_MS)
		{
			(void) shutdown(guest->fd, SHUT_RDWR);
			guest->fd = -1;
		}
	}
	(void) pthread_mutex_unlock(&door->lock);
}

/* ---- requests ---- */

static enum MHD_Result
answer(struct MHD_Connection *connection, int status, const char *type, const char *policy, char *body, bool allow)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(strlen(body), body, MHD_RESPMEM_MUST_FREE);
	enum MHD_Result result;

	if (response == NULL)
	{
		free(body);
		return MHD_NO;
	}
	(void) MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	(void) MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	(void) MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	(void) MHD_add_response_header(response, "Content-Security-Policy", policy != NULL ? policy : "default-src 'none'");
	if (allow)
		(void) MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD, OPTIONS");
	result = MHD_queue_response(connection, (unsigned int) status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result
refuse(Door *door, struct MHD_Connection *connection, int status, const char *why)
{
	char	   *body = strdup(why);

	pgha_web_count(door->listener->view, status);
	return body != NULL ? answer(connection, status, "application/json", NULL, body, status == MHD_HTTP_METHOD_NOT_ALLOWED) : MHD_NO;
}

static enum MHD_Result
note_tag(void *cls, enum MHD_ValueKind kind, const char *key, const char *value)
{
	bool	   *tags = cls;

	(void) kind;
	(void) value;
	if (strncmp(key, "tag_", 4) == 0)
		*tags = true;
	return MHD_YES;
}

static const char *
parameter(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, name);
}

static bool
has_body(struct MHD_Connection *connection)
{
	const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return (length != NULL && strcmp(length, "0") != 0) ||
		MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL;
}

static bool
wants_openmetrics(struct MHD_Connection *connection)
{
	const char *accept = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);

	return accept != NULL && strstr(accept, "application/openmetrics-text") != NULL;
}

/* libmicrohttpd calls it twice: when it has the headers, and when it has all. */
static enum MHD_Result
handle(void *cls, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
	   const char *upload, size_t *upload_size, void **request_context)
{
	static char seen;
	Door	   *door = cls;
	bool		options = strcmp(method, MHD_HTTP_METHOD_OPTIONS) == 0;
	PghaWebRequest request = {.path = url};
	PghaWebReply reply;

	(void) version;
	(void) upload;
	(void) upload_size;
	if (*request_context == NULL)
	{
		*request_context = &seen;
		if (!options && strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
			return refuse(door, connection, MHD_HTTP_METHOD_NOT_ALLOWED, "{\"error\":\"nothing can be changed here\"}");
		if (has_body(connection))
			return refuse(door, connection, CONTENT_TOO_LARGE, "{\"error\":\"no body is read\"}");
		if (strlen(url) > MAX_PATH)
			return refuse(door, connection, URI_TOO_LONG, "{\"error\":\"the path is too long\"}");
		return MHD_YES;
	}
	request.lag = parameter(connection, "lag");
	request.mode = parameter(connection, "mode");
	request.replication_state = parameter(connection, "replication_state");
	request.names = parameter(connection, "names");
	(void) MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, note_tag, &request.tags);
	request.openmetrics = wants_openmetrics(connection);
	pgha_web_reply(door->listener->view, &request, &reply);
	if (reply.body != NULL && options)
		reply.body[0] = '\0';
	return reply.body != NULL ? answer(connection, reply.status, reply.type, reply.policy, reply.body, options) : MHD_NO;
}

/* ---- sockets ---- */

static bool
bind_address(const struct addrinfo *found, int *fd, char *error, size_t error_size)
{
	int			on = 1;

	*fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd >= 0 && setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
		(found->ai_family != AF_INET6 || setsockopt(*fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == 0) &&
		bind(*fd, found->ai_addr, found->ai_addrlen) == 0 && listen(*fd, BACKLOG) == 0)
		return true;
	(void) pgha_fail(error, error_size, "%s", strerror(errno));
	if (*fd >= 0)
		(void) close(*fd);
	*fd = -1;
	return false;
}

/* The socket of an address; of a name the first address that can be used is taken.  -1 with a reason. */
static int
open_socket(const char *host, int port, char *error, size_t error_size)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *found = NULL;
	char		service[16];
	int			fd = -1;
	int			failed;

	(void) snprintf(service, sizeof(service), "%d", port);
	failed = getaddrinfo(host, service, &hints, &found);
	if (failed != 0)
	{
		(void) pgha_fail(error, error_size, "%s", gai_strerror(failed));
		return -1;
	}
	for (const struct addrinfo *one = found; one != NULL && fd < 0; one = one->ai_next)
		(void) bind_address(one, &fd, error, error_size);
	freeaddrinfo(found);
	return fd;
}

static void
drop_message(void *arg, const char *format, va_list args)
{
	/* It is about what strangers send: counted, not logged. */
	(void) arg;
	(void) format;
	(void) args;
}

static struct MHD_Daemon *
start_daemon(Door *door, int fd, const PghaTls *tls)
{
	unsigned int flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG | (tls->key != NULL ? MHD_USE_TLS : 0);
	struct MHD_OptionItem items[] = {
		{MHD_OPTION_HTTPS_MEM_CERT, 0, tls->cert},
		{MHD_OPTION_HTTPS_MEM_KEY, 0, tls->key},
		{MHD_OPTION_HTTPS_PRIORITIES, 0, TLS_PRIORITIES},
		{MHD_OPTION_END, 0, NULL}
	};

	if (tls->key == NULL)
		items[0].option = MHD_OPTION_END;
	return MHD_start_daemon(flags, 0, NULL, NULL, handle, door,
							MHD_OPTION_EXTERNAL_LOGGER, drop_message, NULL,
							MHD_OPTION_LISTEN_SOCKET, fd,
							MHD_OPTION_CONNECTION_LIMIT, (unsigned int) MAX_CONNECTIONS,
							MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned int) MAX_PER_ADDRESS,
							MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) MEMORY_PER_CONNECTION,
							MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int) IDLE_LIMIT_S,
							MHD_OPTION_NOTIFY_CONNECTION, note_connection, door,
							MHD_OPTION_NOTIFY_COMPLETED, note_request, door,
							MHD_OPTION_ARRAY, items, MHD_OPTION_END);
}

static void
open_door(Door *door, const char *host, int port)
{
	const PghaAgentConf *conf = door->listener->view->conf;
	char		where[PGHA_HOST_SIZE + 16];
	char		error[400] = "";
	PghaTls		tls = {NULL, NULL};
	int			fd = -1;

	(void) snprintf(where, sizeof(where), strchr(host, ':') != NULL ? "[%s]:%d" : "%s:%d", host, port);
	if (conf->http_tls_cert[0] == '\0' || pgha_tls_load(conf->http_tls_cert, conf->http_tls_key, &tls, error, sizeof(error)))
		fd = open_socket(host, port, error, sizeof(error));
	if (fd >= 0)
	{
		door->daemon = start_daemon(door, fd, &tls);
		if (door->daemon == NULL)
		{
			(void) close(fd);
			(void) pgha_fail(error, sizeof(error), "%s", tls.key != NULL ?
							 "pgha.http_tls_cert and pgha.http_tls_key cannot be used, or do not belong together" :
							 "libmicrohttpd could not be started");
		}
	}
	pgha_tls_free(&tls);
	if (door->daemon != NULL)
		pgha_agent_log("http: answers on %s%s", where, conf->http_tls_cert[0] != '\0' ? " (TLS)" : "");
	else if (strcmp(error, door->complaint) != 0)
		pgha_agent_log("http: cannot answer on %s, is tried again: %s", where, error);
	(void) snprintf(door->complaint, sizeof(door->complaint), "%s", error);
}

/* ---- for the process ---- */

PghaListener *
pgha_listener_new(PghaWebView *view)
{
	PghaListener *listener = calloc(1, sizeof(*listener));

	if (listener == NULL)
		return NULL;
	listener->view = view;
	listener->count = view->conf->http_listen.count;
	for (int i = 0; i < listener->count; i++)
	{
		listener->door[i].listener = listener;
		(void) pthread_mutex_init(&listener->door[i].lock, NULL);
	}
	return listener;
}

int64_t
pgha_listener_tend(PghaListener *listener)
{
	const PghaListen *listen_at = &listener->view->conf->http_listen;
	int64_t		now = pgha_clock_ms();
	bool		again = now >= listener->retry_at;

	for (int i = 0; i < listener->count; i++)
	{
		Door	   *door = &listener->door[i];

		if (door->daemon != NULL)
			sweep(door, pgha_awake_ms());
		else if (again)
		{
			open_door(door, listen_at->at[i].host, listen_at->at[i].port);
			listener->retry_at = now + RETRY_MS;
		}
	}
	return now + SWEEP_MS;
}

void
pgha_listener_end(PghaListener *listener)
{
	for (int i = 0; i < listener->count; i++)
	{
		if (listener->door[i].daemon != NULL)
			MHD_stop_daemon(listener->door[i].daemon);
	}
	free(listener);
}
