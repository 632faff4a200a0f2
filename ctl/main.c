/* bifrostctl: one command to a running gateway, or to what a stopped one left behind. */
#include <stdio.h>

#include "ctl/ctl.h"

int main(int argc, char **argv)
{
	return ctl_run(argc, argv, stdout, stderr);
}
