/*
 * members.c
 *		The member list of pgha.members, and the witnesses behind it.
 *
 * Called by the server when the configuration is checked.  Errors are whole
 * sentences that say what to write instead; they hold printable ASCII only,
 * whatever the text contained, because they are shown by SQL functions too.
 */
#include "members.h"
#include "errors.h"

#include <stdio.h>

#define DEFAULT_PORT	5432

/* A part of the text being parsed. */
typedef struct Span
{
	const char *start;
	size_t		length;
} Span;

/* The ctype.h functions depend on the locale. */
static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char
to_lower(char c)
{
	return (c >= 'A' && c <= 'Z') ? (char) (c - 'A' + 'a') : c;
}

static bool
is_alnum(char c)
{
	return is_digit(c) || (to_lower(c) >= 'a' && to_lower(c) <= 'z');
}

/* Are all characters of `span` letters, digits or among `others`? */
static bool
span_consists_of(Span span, const char *others)
{
	for (size_t i = 0; i < span.length; i++)
	{
		char		c = span.start[i];

		if (c == '\0' || (!is_alnum(c) && strchr(others, c) == NULL))
			return false;
	}
	return true;
}

static Span
span_trim(Span span)
{
	while (span.length > 0 && is_space(span.start[0]))
	{
		span.start++;
		span.length--;
	}
	while (span.length > 0 && is_space(span.start[span.length - 1]))
		span.length--;
	return span;
}

static void
span_copy(Span span, char *out)
{
	memcpy(out, span.start, span.length);
	out[span.length] = '\0';
}

/* A piece of the text that can be shown: printable, and not too long. */
typedef struct Shown
{
	char		text[72];
} Shown;

static Shown
show(Span span)
{
	Shown		shown;
	size_t		length = span.length < 64 ? span.length : 64;

	for (size_t i = 0; i < length; i++)
		shown.text[i] = (span.start[i] >= ' ' && span.start[i] <= '~') ? span.start[i] : '?';
	strcpy(shown.text + length, span.length > length ? "..." : "");
	return shown;
}

/* Names and hosts stand in command lines, so that none may look like an option. */
static bool
span_is_name(Span name)
{
	return name.length > 0 && name.length < PGHA_NAME_SIZE && name.start[0] != '-' &&
		span_consists_of(name, "-_.");
}

bool
pgha_name_valid(const char *name)
{
	Span		span = {name, strlen(name)};

	return span_is_name(span);
}

int
pgha_members_find(const PghaMembers *members, const char *name)
{
	for (int i = 0; i < members->count; i++)
		if (strcmp(members->member[i].name, name) == 0)
			return i;
	return PGHA_NOBODY;
}

int
pgha_voters_find(const PghaMembers *members, const char *name)
{
	for (int i = 0; i < members->voters; i++)
		if (strcmp(members->member[i].name, name) == 0)
			return i;
	return PGHA_NOBODY;
}

void
pgha_slot_name(const char *name, char *slot)
{
	size_t		length = strlen("pgha_");

	memcpy(slot, "pgha_", length);
	for (; *name != '\0' && length < 63; name++)
		slot[length++] = is_alnum(*name) ? to_lower(*name) : '_';
	slot[length] = '\0';
}

static bool
same_host(const char *a, const char *b)
{
	while (*a != '\0' && to_lower(*a) == to_lower(*b))
		a++, b++;
	return *a == *b;
}

/* Splits "host", "host:port", "[address]" or "[address]:port". */
static bool
parse_address(Span text, PghaAddress *address, char *error, size_t error_size)
{
	Span		host = text;
	Span		port = {text.start + text.length, 0};
	const char *colon;
	const char *allowed = "-_.";
	bool		has_port;

	if (text.length > 0 && text.start[0] == '[')
	{
		const char *close = memchr(text.start, ']', text.length);
		const char *end = text.start + text.length;

		if (close == NULL || (close + 1 != end && close[1] != ':'))
			return pgha_fail(error, error_size,
						"Address \"%s\" of member \"%s\" cannot be read: write an IPv6 address as \"[address]:port\".",
						show(text).text, address->name);
		host.start = text.start + 1;
		host.length = (size_t) (close - host.start);
		colon = (close + 1 != end) ? close + 1 : NULL;
		allowed = ":.%-_";
	}
	else
	{
		colon = memchr(text.start, ':', text.length);
		if (colon != NULL)
		{
			host.length = (size_t) (colon - text.start);
			if (memchr(colon + 1, ':', text.length - host.length - 1) != NULL)
				return pgha_fail(error, error_size,
							"Address \"%s\" of member \"%s\" has more than one colon: write an IPv6 address in brackets, \"[address]:port\".",
							show(text).text, address->name);
		}
	}

	has_port = (colon != NULL);
	if (has_port)
	{
		port.start = colon + 1;
		port.length = (size_t) (text.start + text.length - port.start);
	}

	if (host.length == 0)
		return pgha_fail(error, error_size,
					"Member \"%s\" has no address: write \"%s=host:port\".",
					address->name, address->name);
	if (host.length >= PGHA_HOST_SIZE)
		return pgha_fail(error, error_size,
					"The host of member \"%s\" is longer than %d characters.",
					address->name, PGHA_HOST_SIZE - 1);
	if (host.start[0] == '-' || !span_consists_of(host, allowed))
		return pgha_fail(error, error_size,
					"\"%s\" is not a host name or an IP address: members are separated by commas and written as \"name=host:port\".",
					show(host).text);
	span_copy(host, address->host);

	address->port = DEFAULT_PORT;
	if (has_port)
	{
		int			value = 0;
		bool		valid = port.length > 0 && port.length <= 5;

		for (size_t i = 0; valid && i < port.length; i++)
		{
			valid = is_digit(port.start[i]);
			value = value * 10 + (port.start[i] - '0');
		}
		if (!valid || value < 1 || value > 65535)
			return pgha_fail(error, error_size,
						"Port \"%s\" of member \"%s\" is not a number from 1 to 65535.",
						show(port).text, address->name);
		address->port = value;
	}
	return true;
}

/* Parses one "name=address". */
static bool
parse_member(Span text, PghaAddress *address, char *error, size_t error_size)
{
	const char *equals;
	Span		name = text;
	Span		rest = {text.start + text.length, 0};

	if (text.length == 0)
		return pgha_fail(error, error_size,
					"A comma stands where a member is expected: write \"name=host:port\", separated by single commas.");

	equals = memchr(text.start, '=', text.length);
	if (equals == NULL)
		return pgha_fail(error, error_size,
					"\"%s\" is not a member: write \"name=host:port\".", show(text).text);
	name.length = (size_t) (equals - text.start);
	rest.start = equals + 1;
	rest.length = text.length - name.length - 1;
	name = span_trim(name);

	if (name.length == 0)
		return pgha_fail(error, error_size,
					"\"%s\" has no name: write \"name=host:port\".", show(text).text);
	if (name.length >= PGHA_NAME_SIZE)
		return pgha_fail(error, error_size,
					"Member name \"%s\" is longer than %d characters.",
					show(name).text, PGHA_NAME_SIZE - 1);
	if (name.start[0] == '-')
		return pgha_fail(error, error_size,
					"Member name \"%s\" begins with \"-\": write a letter or a digit first.", show(name).text);
	if (!span_is_name(name))
		return pgha_fail(error, error_size,
					"Member name \"%s\" contains other characters than letters, digits, \"-\", \"_\" and \".\".",
					show(name).text);
	span_copy(name, address->name);
	return parse_address(span_trim(rest), address, error, error_size);
}

/* Is the last one at odds with an earlier one? */
static bool
check_unique(const PghaMembers *members, char *error, size_t error_size)
{
	const PghaAddress *added = &members->member[members->voters - 1];
	bool		witness = members->voters > members->count;
	char		added_slot[64];

	pgha_slot_name(added->name, added_slot);
	for (int i = 0; i < members->voters - 1; i++)
	{
		const PghaAddress *other = &members->member[i];
		char		other_slot[64];

		if (strcmp(added->name, other->name) == 0)
			return witness && i < members->count ?
				pgha_fail(error, error_size,
						  "\"%s\" is one of pgha.members and of pgha.witnesses: a node that has data is no witness, leave it out of one of the two.",
						  added->name) :
				pgha_fail(error, error_size, "%s \"%s\" is listed twice.",
						  witness ? "Witness" : "Member", added->name);
		if (added->port == other->port && same_host(added->host, other->host))
			return witness ?
				pgha_fail(error, error_size,
						  "Witness \"%s\" has the address of \"%s\": each needs its own host or port.",
						  added->name, other->name) :
				pgha_fail(error, error_size,
						  "Members \"%s\" and \"%s\" have the same address: each needs its own host or port.",
						  other->name, added->name);
		pgha_slot_name(other->name, other_slot);
		if (strcmp(added_slot, other_slot) == 0)
			return witness ?
				pgha_fail(error, error_size,
						  "Witness \"%s\" is told from \"%s\" by case and punctuation only: give it another name.",
						  added->name, other->name) :
				pgha_fail(error, error_size,
						  "Members \"%s\" and \"%s\" would share the replication slot \"%s\": names must differ in more than case and punctuation.",
						  other->name, added->name, added_slot);
	}
	return true;
}

/* Parses a list of members, or of witnesses, behind those that are there. */
static bool
parse_list(const char *text, PghaMembers *members, bool witnesses, char *error, size_t error_size)
{
	Span		rest = span_trim((Span) {text, strlen(text)});
	bool		more = rest.length > 0;

	while (more)
	{
		const char *comma = memchr(rest.start, ',', rest.length);
		Span		one = rest;

		more = (comma != NULL);
		if (more)
		{
			one.length = (size_t) (comma - rest.start);
			rest.start = comma + 1;
			rest.length -= one.length + 1;
		}
		if (members->voters == PGHA_MAX_MEMBERS)
			return pgha_fail(error, error_size, "There are more than %d members%s.", PGHA_MAX_MEMBERS,
							 witnesses ? " and witnesses" : "");
		if (!parse_member(span_trim(one), &members->member[members->voters], error, error_size))
			return false;
		members->voters++;
		if (!witnesses)
			members->count++;
		if (!check_unique(members, error, error_size))
			return false;
	}
	return true;
}

bool
pgha_members_parse(const char *text, PghaMembers *members, char *error, size_t error_size)
{
	memset(members, 0, sizeof(*members));
	return parse_list(text, members, false, error, error_size);
}

bool
pgha_witnesses_parse(const char *text, PghaMembers *members, char *error, size_t error_size)
{
	return parse_list(text, members, true, error, error_size);
}

void
pgha_members_write(const PghaMembers *members, int first, int end, char *text)
{
	size_t		length = 0;

	text[0] = '\0';
	for (int i = first; i < end && length < PGHA_LIST_SIZE; i++)
	{
		const PghaAddress *member = &members->member[i];
		bool		brackets = strchr(member->host, ':') != NULL;

		length += (size_t) snprintf(text + length, PGHA_LIST_SIZE - length, "%s%s=%s%s%s:%d", i > first ? ", " : "",
									member->name, brackets ? "[" : "", member->host, brackets ? "]" : "", member->port);
	}
}

/* The next one from *i on that has another name, or NULL. */
static const PghaAddress *
next_other(const PghaMembers *members, int *i, const char *name)
{
	while (*i < members->voters && strcmp(members->member[*i].name, name) == 0)
		(*i)++;
	return *i < members->voters ? &members->member[(*i)++] : NULL;
}

bool
pgha_members_same_without(const PghaMembers *one, const PghaMembers *two, const char *name)
{
	int			i = 0;
	int			j = 0;
	const PghaAddress *a;
	const PghaAddress *b;

	do
	{
		a = next_other(one, &i, name);
		b = next_other(two, &j, name);
		if (a != NULL && b != NULL &&
			(strcmp(a->name, b->name) != 0 || !same_host(a->host, b->host) || a->port != b->port))
			return false;
	}
	while (a != NULL && b != NULL);
	return a == b;
}
