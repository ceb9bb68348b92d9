/*
 * nearest.c
 *		The name that was probably meant: the one with the fewest letters changed,
 *		added, left out, or swapped with their neighbour.
 *
 * For names of settings, in the server's errors and those of `pgha agent --check`.
 * Nothing is allocated.
 */
#include "nearest.h"

#include <ctype.h>
#include <string.h>

#define MAX_LENGTH		63
/* More than a third of the letters: another word. */
#define MOST_CHANGES(length)	((length) / 3 < 4 ? (length) / 3 : 4)

static int
least(int a, int b)
{
	return a < b ? a : b;
}

/* The number of such changes, with swaps of neighbours; a large one if a name is too long. */
static int
distance(const char *a, const char *b)
{
	int			rows[3][MAX_LENGTH + 1];
	int			length_a = (int) strlen(a);
	int			length_b = (int) strlen(b);

	if (length_a > MAX_LENGTH || length_b > MAX_LENGTH)
		return MAX_LENGTH;
	for (int j = 0; j <= length_b; j++)
		rows[0][j] = j;
	for (int i = 1; i <= length_a; i++)
	{
		int		   *row = rows[i % 3];
		const int  *above = rows[(i + 2) % 3];
		const int  *before = rows[(i + 1) % 3];

		row[0] = i;
		for (int j = 1; j <= length_b; j++)
		{
			int			x = tolower((unsigned char) a[i - 1]);
			int			y = tolower((unsigned char) b[j - 1]);

			row[j] = least(least(above[j] + 1, row[j - 1] + 1), above[j - 1] + (x != y));
			if (i > 1 && j > 1 && x == tolower((unsigned char) b[j - 2]) && y == tolower((unsigned char) a[i - 2]))
				row[j] = least(row[j], before[j - 2] + 1);
		}
	}
	return rows[length_a % 3][length_b];
}

const char *
pgha_nearest(const char *name, const char *const *names, int count)
{
	const char *nearest = NULL;
	int			fewest = MOST_CHANGES((int) strlen(name)) + 1;

	for (int i = 0; i < count; i++)
	{
		int			changes = distance(name, names[i]);

		if (changes < fewest)
		{
			fewest = changes;
			nearest = names[i];
		}
	}
	return nearest;
}
