/* SPDX-License-Identifier: MIT */
/*
 * host - what surrounds the machine: kernel, hypervisor, container.
 */
#ifndef GCORN_TOPOLOGY_HOST_H
#define GCORN_TOPOLOGY_HOST_H

#include <stdbool.h>

struct host {
    char name[64];
    char kernel[64]; /* release, as uname -r */
    /* "none", "kvm", "firecracker", "vmware", "xen", "hyperv", "unknown" */
    char virt[16];
    bool container;
    char container_reason[64]; /* the sign that gave it away */
};

/* Reads below @root ("" for the running system). What is missing is "". */
void host_read(const char *root, struct host *ret_host);

#endif
