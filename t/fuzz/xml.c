/*
 * xml.c
 *		Fuzzer: picking elements out of Describe answers.
 */
#include "../../src/net/xml.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {
		"networkInterfaceId", "destinationCidrBlock", "state", "associationId", "item", "a"
	};
	PghaXml		rest = {(const char *) data, size};
	PghaXml		item;
	size_t		before = size + 1;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
	{
		char		value[32];
		bool		found = pgha_xml_text(&rest, names[i], value, sizeof(value));

		if (strlen(value) >= sizeof(value) || (!found && value[0] != '\0'))
			abort();
	}
	/* Each round must come nearer to the end, and stay inside. */
	while (pgha_xml_find(&rest, "item", &item, &rest))
	{
		if (rest.length >= before || item.length > size || item.text < (const char *) data ||
			item.text + item.length > (const char *) data + size ||
			rest.text + rest.length != (const char *) data + size)
			abort();
		before = rest.length;
	}
	return 0;
}
