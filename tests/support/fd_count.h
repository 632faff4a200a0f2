/* How many descriptors this process holds: a test that ends with more than it began with has found
 * a leak. */
#pragma once

#include <dirent.h>

static inline int fd_count(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int count = 0;

	if (!dir)
		return -1;
	while (readdir(dir))
		count++;
	(void)closedir(dir);
	return count;
}
