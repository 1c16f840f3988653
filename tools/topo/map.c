/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "tools/topo/pen.h"

/* Where the boxes of a node begin. */
#define BOXES 21

static void core_label(const struct report *report, uint32_t core, char *text,
                       size_t size, enum ink *ret_ink)
{
    int32_t worker;

    switch (report_core_use(report, core, &worker)) {
    case CORE_NOT_OURS:
        *ret_ink = INK_DIM;
        snprintf(text, size, "--");
        return;
    case CORE_CLAIMED:
        *ret_ink = INK_DIM;
        snprintf(text, size, "xx");
        return;
    case CORE_IDLE:
        *ret_ink = INK_DIM;
        snprintf(text, size, "..");
        return;
    case CORE_RESERVED:
        *ret_ink = INK_YELLOW;
        snprintf(text, size, "##");
        return;
    case CORE_WORKER:
        *ret_ink = INK_GREEN;
        snprintf(text, size, "w%d", worker);
        return;
    case CORE_REMOTE:
        *ret_ink = INK_RED;
        snprintf(text, size, "w%d!", worker);
        return;
    }
}

/* All labels get the width of the longest, so that columns line up. */
static int label_width(const struct report *report)
{
    int width = 2;

    for (uint32_t i = 0; i < report->machine->n_cores; i++) {
        enum ink ink;
        char text[16];

        core_label(report, i, text, sizeof(text), &ink);
        if ((int)strlen(text) > width)
            width = (int)strlen(text);
    }
    return width;
}

/* The cores that one cache domain has on one node. */
struct box {
    int32_t node; /* place in machine->nodes, -1: none */
    int32_t llc;
    uint32_t cores;
};

static uint32_t cores_in(const struct machine *m, int32_t node, int32_t llc)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < m->n_cores; i++)
        n += m->cores[i].node == node && (llc < 0 || m->cores[i].llc == llc);
    return n;
}

/* A box wider than the line is broken between cores. */
static void draw_box(struct pen *pen, struct box box, int start, int label)
{
    const struct machine *m = pen->report->machine;
    int need = (int)box.cores * (label + 1) + 1;
    int32_t kind = -1;
    bool first = true;

    if (pen->column > start && pen->column + need > pen->width) {
        pen_line(pen);
        pen_pad(pen, start);
    }
    pen_draw(pen, INK_PLAIN, "[");
    for (uint32_t i = 0; i < m->n_cores; i++) {
        enum ink ink;
        char text[16];

        if (m->cores[i].node != box.node || m->cores[i].llc != box.llc)
            continue;
        if (pen->column + label + 2 > pen->width) {
            pen_line(pen);
            pen_pad(pen, start + 1);
        } else if (!first) {
            pen_draw(pen, INK_PLAIN, " ");
        }
        /* Faster and slower cores of one cache. */
        if (!first && m->cores[i].efficiency != kind)
            pen_draw(pen, INK_PLAIN, "| ");
        kind = m->cores[i].efficiency;
        first = false;
        core_label(pen->report, i, text, sizeof(text), &ink);
        pen_draw(pen, ink, "%-*s", label, text);
    }
    pen_draw(pen, INK_PLAIN, "]  ");
}

static void draw_device(struct pen *pen, const char *name)
{
    if (pen->column + (int)strlen(name) > pen->width) {
        pen_line(pen);
        pen_pad(pen, BOXES);
    }
    pen_draw(pen, INK_BOLD, "%s ", name);
}

/* Cards and fast disks; slow ones do not care where they are. */
static void draw_node_devices(struct pen *pen, uint32_t os_index)
{
    const struct devices *d = pen->report->devices;

    for (uint32_t i = 0; i < d->n_nics; i++)
        if (d->nics[i].node == (int32_t)os_index)
            draw_device(pen, d->nics[i].name);
    for (uint32_t i = 0; i < d->n_disks; i++)
        if (d->disks[i].node == (int32_t)os_index && d->disks[i].is_nvme)
            draw_device(pen, d->disks[i].name);
}

static void draw_boxes(struct pen *pen, int32_t node, int label)
{
    const struct machine *m = pen->report->machine;
    int start = pen->column;

    for (uint32_t l = 0; l < m->n_llcs; l++) {
        struct box box = {node, (int32_t)l, cores_in(m, node, (int32_t)l)};

        if (box.cores > 0)
            draw_box(pen, box, start, label);
    }
}

static void draw_node(struct pen *pen, uint32_t i, int label)
{
    const struct machine_node *node = &pen->report->machine->nodes[i];
    char size[32] = "?";

    if (node->bytes)
        report_size(node->bytes, size, sizeof(size));
    pen_draw(pen, INK_BOLD, "node %-4u", node->os_index);
    pen_draw(pen, INK_PLAIN, "%10s  ", size);
    draw_boxes(pen, (int32_t)i, label);
    if (node->special[0])
        pen_draw(pen, INK_DIM, "%s, not counted ", node->special);
    else if (!node->allowed)
        pen_draw(pen, INK_DIM, "not allowed ");
    draw_node_devices(pen, node->os_index);
    pen_line(pen);
}

void report_map(struct pen *pen)
{
    const struct machine *m = pen->report->machine;
    int label = label_width(pen->report);

    pen_line(pen);
    pen_draw(pen, INK_BOLD, "Topology");
    pen_draw(pen, INK_DIM,
             " one group is one cache:  wN worker  wN! remote memory");
    if (pen->width < (pen->report->claims.n > 0 ? 117 : 95)) {
        pen_line(pen);
        pen_pad(pen, PEN_INDENT + 23);
    }
    pen_draw(pen, INK_DIM, "  ## reserved  .. idle  -- not ours%s",
             pen->report->claims.n > 0 ? "  xx another gcorn's" : "");
    pen_line(pen);
    for (uint32_t i = 0; i < m->n_nodes; i++)
        draw_node(pen, i, label);
    if (cores_in(m, -1, -1) > 0) {
        pen_draw(pen, INK_BOLD, "no memory");
        pen_pad(pen, BOXES);
        draw_boxes(pen, -1, label);
        pen_line(pen);
    }
    pen_line(pen);
}
