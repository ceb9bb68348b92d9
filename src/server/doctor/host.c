/*
 * host.c
 *		Checks of pgha_doctor() on the host, as the server sees it: disks,
 *		places, processes.
 */
#include "postgres.h"

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "access/xlog.h"
#include "miscadmin.h"

#include "../config.h"
#include "checks.h"

/* Free space in percent that is worth a warning, and that is close to the end. */
#define DISK_LOW		10
#define DISK_FULL		2

static bool
space(PghaDoctor *doctor, const char *path, uint64 *free_bytes, uint64 *all_bytes)
{
	struct statvfs fs;

	if (statvfs(path, &fs) != 0)
	{
		PghaDoctorFind(doctor, PGHA_WARNING, "See that the server's user can reach it.",
					   "could not look at the file system of \"%s\": %m", path);
		return false;
	}
	*free_bytes = (uint64) fs.f_bavail * fs.f_frsize;
	*all_bytes = (uint64) fs.f_blocks * fs.f_frsize;
	return true;
}

static void
check_disk(PghaDoctor *doctor, const char *path, const char *what)
{
	uint64		free_bytes;
	uint64		all_bytes;

	if (!space(doctor, path, &free_bytes, &all_bytes))
		return;
	if (free_bytes * 100 < all_bytes * DISK_LOW)
		PghaDoctorFind(doctor, free_bytes * 100 < all_bytes * DISK_FULL ? PGHA_ERROR : PGHA_WARNING,
					   "Make room, or enlarge the volume: a primary whose disk is full stops, and its standbys soon after.",
					   "%s: %s of %s are free", what, PghaDoctorSize(free_bytes), PghaDoctorSize(all_bytes));
	else
		PghaDoctorFine(doctor, "%s: %s of %s are free", what, PghaDoctorSize(free_bytes), PghaDoctorSize(all_bytes));
}

static void
check_disk_data(PghaDoctor *doctor)
{
	check_disk(doctor, DataDir, "the data directory's volume");
}

static void
check_disk_wal(PghaDoctor *doctor)
{
	check_disk(doctor, "pg_wal", "pg_wal's volume");
}

/* Is there room for what a member that is down makes this server keep? */
static void
check_wal_space(PghaDoctor *doctor)
{
	uint64		keep = (uint64) Max(atoi(PghaDoctorSetting("pgha.slot_keep_size")), wal_keep_size_mb) * 1024 * 1024;
	uint64		free_bytes;
	uint64		all_bytes;

	if (!space(doctor, "pg_wal", &free_bytes, &all_bytes))
		return;
	if (free_bytes < keep)
		PghaDoctorFind(doctor, PGHA_WARNING, "Write a smaller pgha.slot_keep_size (and wal_keep_size), and reload; or enlarge the volume.",
					   "pg_wal's volume has %s left, but up to %s of WAL may be kept for a member that is down (pgha.slot_keep_size, wal_keep_size)",
					   PghaDoctorSize(free_bytes), PghaDoctorSize(keep));
	else
		PghaDoctorFine(doctor, "%s are free, up to %s may be kept for a member that is down",
					   PghaDoctorSize(free_bytes), PghaDoctorSize(keep));
}

/* A clone is made beside the old data directory, which it then replaces. */
static void
check_clone_place(PghaDoctor *doctor)
{
	char	   *parent = pstrdup(DataDir);
	struct stat st;
	struct stat parent_st;
	const char *problem = NULL;

	get_parent_directory(parent);
	if (*parent == '\0')
		parent = "/";
	if (stat(parent, &parent_st) != 0 || access(parent, W_OK | X_OK) != 0)
		problem = "the directory that it is in cannot be written to";
	else if (stat(DataDir, &st) == 0 && st.st_dev != parent_st.st_dev)
		problem = "it is a mount point";
	if (problem != NULL && !pgha_clone_in_place)
		PghaDoctorFind(doctor, strcmp(PghaDoctorSetting("pgha.auto_rejoin"), "clone") == 0 ? PGHA_WARNING : PGHA_INFO,
					   "Write pgha.clone_in_place = on, which gives up the old copy before the new one is there; or move the data directory into a subdirectory of the volume.",
					   "there is no place for a clone beside the data directory (%s), and pgha.clone_in_place is off", problem);
	else
		PghaDoctorFine(doctor, problem != NULL ? "in place, as pgha.clone_in_place says" : "beside the data directory");
}

static void
check_init_process(PghaDoctor *doctor)
{
	if (PostmasterPid == 1)
		PghaDoctorFind(doctor, PGHA_WARNING,
					   "Run the container with an init process (docker run --init, or shareProcessNamespace in Kubernetes).",
					   "the postmaster is process 1: the end of any orphan is taken for a crash, and restarts the server");
	else
		PghaDoctorFine(doctor, "the postmaster is process %d", (int) PostmasterPid);
}

const PghaCheck pgha_checks_host[] = {
	{"disk_data", 0, check_disk_data},
	{"disk_wal", 0, check_disk_wal},
	{"wal_space", PGHA_NEEDS_LIBRARY | PGHA_NEEDS_DATA, check_wal_space},
	{"clone_place", PGHA_NEEDS_OTHERS | PGHA_NEEDS_DATA, check_clone_place},
	{"init_process", 0, check_init_process},
	{NULL, 0, NULL}
};
