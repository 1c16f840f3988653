/* SPDX-License-Identifier: MIT */
#include "tools/topo/report.h"

/* Interrupts of the card go to the cores that no worker uses. */
static void print_irqs(const struct report *report, FILE *out)
{
    struct cpus reserved = {0};
    char list[CPUS_TEXT];

    for (uint32_t i = 0; i < report->plan->n_reserved; i++)
        cpus_or(&reserved,
                &report->machine->cores[report->plan->reserved[i]].usable);
    if (cpus_is_empty(&reserved))
        return;
    cpus_format(&reserved, list, sizeof(list));
    for (uint32_t i = 0; i < report->devices->n_nics; i++)
        if (report->devices->nics[i].n_irqs > 0)
            fprintf(out,
                    "for i in $(ls /sys/class/net/%s/device/msi_irqs); do\n"
                    "  echo %s > /proc/irq/$i/smp_affinity_list; done\n",
                    report->devices->nics[i].name, list);
}

void report_fixes(const struct report *report, FILE *out)
{
    for (uint32_t i = 0; i < report->checks.n; i++) {
        const struct check *check = &report->checks.items[i];

        if (check->status != CHECK_PASS && check->remedy[0])
            fprintf(out, "# %s: %s, needed %s\n%s\n", check->title,
                    check->found, check->need, check->remedy);
    }
    if (report->root)
        print_irqs(report, out);
}
