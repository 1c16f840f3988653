/* SPDX-License-Identifier: MIT */
/*
 * The picture: a row for each node, in it a box for each last-level cache, in
 * it a tile for each core; beside the row the devices of the node.
 *
 *   label and memory | [1 2 3] [4 5 6] ...            | eth0
 *   of the node      | [7 8 9] ...                    | nvme0n1
 *
 * Everything is laid out twice: once without output, for the height.
 */
#include <inttypes.h>
#include <string.h>

#include "tools/topo/markup.h"
#include "tools/topo/report.h"

enum {
    WIDTH = 1200,
    MARGIN = 24,
    LABEL = 150,   /* where boxes begin, from the margin */
    DEVICES = 190, /* the column on the right */
    TILE_W = 40,
    TILE_H = 26,
    GAP = 4,
    PAD = 8,      /* inside a box */
    CAPTION = 16, /* of a box */
    HEAD = 92,
    ROW_GAP = 14,
};

struct canvas {
    const struct report *report;
    FILE *out; /* NULL: only measure */
    int y;
};

struct box {
    int32_t node;
    int32_t llc;
    uint32_t cores;
    int columns, width, height;
};

static const char *const fills[] = {
    [CORE_NOT_OURS] = "#eceef1", [CORE_CLAIMED] = "#b7c3dc",
    [CORE_IDLE] = "#d5d9e0",     [CORE_RESERVED] = "#f2b84b",
    [CORE_WORKER] = "#58b58a",   [CORE_REMOTE] = "#e0685f",
};

static uint32_t cores_in(const struct machine *m, int32_t node, int32_t llc)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < m->n_cores; i++)
        n += m->cores[i].node == node && (llc < 0 || m->cores[i].llc == llc);
    return n;
}

static void text_at(struct canvas *c, int x, int y, const char *class,
                    const char *text)
{
    if (!c->out)
        return;
    fprintf(c->out, "<text x=\"%d\" y=\"%d\" class=\"%s\">", x, y, class);
    markup_text(c->out, "%s", text);
    fputs("</text>\n", c->out);
}

static void draw_hover(struct canvas *c, uint32_t core, enum core_use use,
                       int32_t worker)
{
    static const char *const words[] = {
        [CORE_NOT_OURS] = "not ours", [CORE_CLAIMED] = "of another gcorn",
        [CORE_IDLE] = "idle",         [CORE_RESERVED] = "reserved",
        [CORE_WORKER] = "worker",     [CORE_REMOTE] = "worker"};
    const struct report *r = c->report;
    const struct machine_core *mc = &r->machine->cores[core];
    char list[CPUS_TEXT];

    cpus_format(&mc->pus, list, sizeof(list));
    fputs("<title>", c->out);
    if (worker >= 0)
        markup_text(c->out, "worker %d, ", worker);
    else
        markup_text(c->out, "%s, ", words[use]);
    markup_text(c->out, "core %u, threads %s", core, list);
    if (mc->efficiency >= 0 && r->machine->n_kinds > 1)
        markup_text(c->out, ", speed class %d", mc->efficiency);
    if (worker >= 0 && r->plan->places[worker].memory_node >= 0)
        markup_text(c->out, ", memory of node %d%s",
                    r->plan->places[worker].memory_node,
                    use == CORE_REMOTE ? " (remote)" : "");
    fputs("</title>", c->out);
}

/* One of the slower kinds of a machine that has several. */
static bool is_slow(const struct machine *m, uint32_t core)
{
    for (uint32_t i = 0; i < m->n_cores; i++)
        if (m->cores[i].efficiency > m->cores[core].efficiency)
            return true;
    return false;
}

static bool any_slow(const struct machine *m)
{
    for (uint32_t i = 0; i < m->n_cores; i++)
        if (is_slow(m, i))
            return true;
    return false;
}

static void draw_tile(struct canvas *c, uint32_t core, int x, int y)
{
    int32_t worker;
    enum core_use use = report_core_use(c->report, core, &worker);

    if (!c->out)
        return;
    fprintf(c->out,
            "<g><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"4\" "
            "fill=\"%s\"%s/>",
            x, y, TILE_W, TILE_H, fills[use],
            is_slow(c->report->machine, core) ? " class=\"slow\"" : "");
    fprintf(c->out, "<text x=\"%d\" y=\"%d\" class=\"tile\">", x + TILE_W / 2,
            y + TILE_H / 2 + 4);
    if (worker >= 0)
        fprintf(c->out, "w%d", worker);
    else if (use == CORE_RESERVED)
        fputs("OS", c->out);
    fputs("</text>", c->out);
    draw_hover(c, core, use, worker);
    fputs("</g>\n", c->out);
}

/* Wide caches are folded, so that a machine of any size keeps its shape. */
static struct box box_of(const struct machine *m, int32_t node, int32_t llc)
{
    struct box b = {.node = node, .llc = llc};
    int rows;

    b.cores = cores_in(m, node, llc);
    b.columns = b.cores > 24 ? 12 : b.cores > 8 ? 8 : (int)b.cores;
    if (b.columns < 2)
        b.columns = b.cores ? 2 : 0;
    if (b.cores == 0)
        return b;
    rows = ((int)b.cores + b.columns - 1) / b.columns;
    b.width = 2 * PAD + b.columns * TILE_W + (b.columns - 1) * GAP;
    b.height = CAPTION + 2 * PAD + rows * TILE_H + (rows - 1) * GAP;
    return b;
}

static void draw_caption(struct canvas *c, const struct box *b, int x, int y)
{
    static const char *const kinds[] = {
        [MACHINE_LLC_L3] = "L3",
        [MACHINE_LLC_L2] = "L2",
        [MACHINE_LLC_NODE] = "no shared cache",
        [MACHINE_LLC_WHOLE] = "no shared cache"};
    const struct machine_llc *llc = &c->report->machine->llcs[b->llc];
    char size[32], text[64];

    snprintf(text, sizeof(text), "%s", kinds[llc->kind]);
    if (llc->bytes > 0)
        snprintf(text, sizeof(text), "%s %s", kinds[llc->kind],
                 report_size(llc->bytes, size, sizeof(size)));
    text_at(c, x + PAD, y + CAPTION, "small", text);
}

static void draw_box(struct canvas *c, const struct box *b, int x, int y)
{
    const struct machine *m = c->report->machine;
    int i = 0;

    if (c->out)
        fprintf(c->out,
                "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"6\" "
                "class=\"box\"/>\n",
                x, y, b->width, b->height);
    draw_caption(c, b, x, y);
    for (uint32_t core = 0; core < m->n_cores; core++) {
        if (m->cores[core].node != b->node || m->cores[core].llc != b->llc)
            continue;
        draw_tile(c, core, x + PAD + i % b->columns * (TILE_W + GAP),
                  y + CAPTION + PAD + i / b->columns * (TILE_H + GAP));
        i++;
    }
}

/* Lays the boxes of a node out like words; returns their height. */
static int draw_boxes(struct canvas *c, int32_t node, int top)
{
    const int left = MARGIN + LABEL, right = WIDTH - MARGIN - DEVICES;
    const struct machine *m = c->report->machine;
    int x = left, y = top, line = 0;

    for (uint32_t l = 0; l < m->n_llcs; l++) {
        struct box b = box_of(m, node, (int32_t)l);

        if (b.cores == 0)
            continue;
        if (x > left && x + b.width > right) {
            x = left;
            y += line + PAD;
            line = 0;
        }
        draw_box(c, &b, x, y);
        x += b.width + PAD;
        if (b.height > line)
            line = b.height;
    }
    return y + line - top;
}

static int draw_chip(struct canvas *c, const char *name, const char *detail,
                     int y)
{
    int x = WIDTH - MARGIN - DEVICES + 2 * PAD;

    if (c->out) {
        fprintf(c->out,
                "<g><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"22\" "
                "rx=\"11\" class=\"chip\"/><title>",
                x, y, DEVICES - 3 * PAD);
        markup_text(c->out, "%s %s", name, detail);
        fputs("</title>", c->out);
        text_at(c, x + 12, y + 15, "small", name);
        fputs("</g>\n", c->out);
    }
    return 22 + GAP;
}

/* Devices of the node with this OS index; -1: those of nowhere. */
static int draw_devices(struct canvas *c, int32_t os_index, int top)
{
    const struct devices *d = c->report->devices;
    char detail[96];
    int y = top;

    for (uint32_t i = 0; i < d->n_nics; i++) {
        if (d->nics[i].node != os_index)
            continue;
        snprintf(detail, sizeof(detail), "%s %d Mb/s", d->nics[i].driver,
                 d->nics[i].speed_mbps > 0 ? d->nics[i].speed_mbps : 0);
        y += draw_chip(c, d->nics[i].name,
                       d->nics[i].speed_mbps > 0 ? detail : d->nics[i].driver,
                       y);
    }
    for (uint32_t i = 0; i < d->n_disks; i++)
        if (d->disks[i].node == os_index)
            y += draw_chip(
                c, d->disks[i].name,
                d->disks[i].bytes
                    ? report_size(d->disks[i].bytes, detail, sizeof(detail))
                    : "",
                y);
    return y - top;
}

static uint64_t planned_on(const struct report *r, uint32_t os_index)
{
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < r->plan->n_workers; i++)
        if (r->plan->places[i].memory_node == (int32_t)os_index)
            bytes += r->plan->worker_bytes;
    return bytes;
}

/* How much of the node's memory the planned workers take. */
static void draw_share(struct canvas *c, const struct machine_node *node, int y)
{
    uint64_t planned = planned_on(c->report, node->os_index);
    const int width = LABEL - 2 * PAD;
    char a[32], b[32], text[48];
    int used;

    if (!c->out || node->bytes == 0)
        return;
    used = planned >= node->bytes
               ? width
               : (int)((double)planned * width / (double)node->bytes);
    fprintf(c->out,
            "<g><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"8\" rx=\"4\" "
            "fill=\"%s\"/><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"8\" "
            "rx=\"4\" fill=\"%s\"/><title>",
            MARGIN, y, width, fills[CORE_IDLE], MARGIN, y, used > 4 ? used : 4,
            fills[planned > node->bytes ? CORE_REMOTE : CORE_WORKER]);
    report_size(planned, a, sizeof(a));
    markup_text(c->out, "%s planned of %s", a,
                report_size(node->bytes, b, sizeof(b)));
    fputs("</title></g>\n", c->out);
    snprintf(text, sizeof(text), "%s planned", a);
    text_at(c, MARGIN, y + 22, "faint", text);
}

static void draw_label(struct canvas *c, const struct machine_node *node, int y)
{
    char text[64], size[32] = "size unknown";

    snprintf(text, sizeof(text), "node %u", node->os_index);
    text_at(c, MARGIN, y + 16, "strong", text);
    if (node->bytes)
        report_size(node->bytes, size, sizeof(size));
    text_at(c, MARGIN, y + 34, "small", size);
    if (machine_node_is_counted(node))
        draw_share(c, node, y + 42);
    else
        text_at(c, MARGIN, y + 50, "faint",
                node->special[0] ? node->special : "not allowed");
}

static int highest(int a, int b, int d)
{
    int most = a > b ? a : b;

    return most > d ? most : d;
}

static void draw_row(struct canvas *c, const struct machine_node *node,
                     int32_t place)
{
    int top = c->y, boxes, chips = 0;

    if (node)
        draw_label(c, node, top);
    else
        text_at(c, MARGIN, top + 16, "strong", "no local memory");
    boxes = draw_boxes(c, place, top);
    if (node)
        chips = draw_devices(c, (int32_t)node->os_index, top);
    c->y += highest(boxes, chips, 68) + ROW_GAP;
    if (c->out)
        fprintf(c->out,
                "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" "
                "class=\"rule\"/>\n",
                MARGIN, c->y - ROW_GAP / 2, WIDTH - MARGIN, c->y - ROW_GAP / 2);
}

static void draw_legend(struct canvas *c)
{
    static const struct {
        enum core_use use;
        const char *word;
    } items[] = {{CORE_WORKER, "worker"},
                 {CORE_REMOTE, "worker, remote memory"},
                 {CORE_RESERVED, "reserved for the kernel"},
                 {CORE_IDLE, "idle"},
                 {CORE_CLAIMED, "of another gcorn"},
                 {CORE_NOT_OURS, "not ours"}};
    int x = MARGIN;

    for (size_t i = 0; c->out && i < ARRAY_SIZE(items); i++) {
        if (items[i].use == CORE_CLAIMED && c->report->claims.n == 0)
            continue;
        fprintf(c->out,
                "<rect x=\"%d\" y=\"64\" width=\"14\" height=\"14\" rx=\"3\" "
                "fill=\"%s\"/>",
                x, fills[items[i].use]);
        text_at(c, x + 20, 76, "small", items[i].word);
        x += 40 + 7 * (int)strlen(items[i].word);
    }
    if (!c->out || !any_slow(c->report->machine))
        return;
    fprintf(c->out,
            "<rect x=\"%d\" y=\"64\" width=\"14\" height=\"14\" rx=\"3\" "
            "fill=\"none\" class=\"slow\"/>",
            x);
    text_at(c, x + 20, 76, "small", "slower core");
}

static void draw_head(struct canvas *c)
{
    const struct report *r = c->report;
    char text[256];

    snprintf(text, sizeof(text), "%s%s%u cores, %u threads", r->processor.model,
             r->processor.model[0] ? ": " : "", r->machine->n_cores,
             cpus_count(&r->machine->online));
    text_at(c, MARGIN, 30, "title", text);
    snprintf(text, sizeof(text),
             "%u worker%s (bound by %s), %u core%s reserved, pin: %s",
             r->plan->n_workers, r->plan->n_workers == 1 ? "" : "s",
             plan_bound_name(r->plan->bound), r->plan->n_reserved,
             r->plan->n_reserved == 1 ? "" : "s", plan_pin_name(r->plan->pin));
    text_at(c, MARGIN, 50, "small", text);
    draw_legend(c);
}

static void draw_all(struct canvas *c)
{
    const struct machine *m = c->report->machine;
    int chips;

    c->y = HEAD + ROW_GAP;
    for (uint32_t i = 0; i < m->n_nodes; i++)
        draw_row(c, &m->nodes[i], (int32_t)i);
    if (cores_in(m, -1, -1) > 0)
        draw_row(c, NULL, -1);
    chips = draw_devices(c, -1, c->y);
    if (chips > 0) {
        text_at(c, MARGIN, c->y + 16, "faint",
                "devices whose place the kernel does not tell");
        c->y += chips;
    }
}

void report_svg(const struct report *report, FILE *out)
{
    struct canvas c = {.report = report};
    int height;

    draw_all(&c);
    height = c.y + MARGIN;
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" "
            "viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" "
            "font-family=\"system-ui,'DejaVu Sans',sans-serif\">\n",
            WIDTH, height, WIDTH, height);
    fputs("<style>.title{font-size:17px;font-weight:600;fill:#1d2733}"
          ".strong{font-size:13px;font-weight:600;fill:#1d2733}"
          ".small{font-size:12px;fill:#465364}"
          ".faint{font-size:12px;fill:#7c8896}"
          ".tile{font-size:11px;fill:#14202b;text-anchor:middle}"
          ".slow{stroke:#465364;stroke-dasharray:3 2}"
          ".box{fill:#f7f8fa;stroke:#c3cad4}"
          ".chip{fill:#e3ecfa;stroke:#9db7e0}"
          ".rule{stroke:#e3e6ea}</style>\n",
          out);
    fprintf(out, "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n", WIDTH,
            height);
    c.out = out;
    draw_head(&c);
    draw_all(&c);
    fputs("</svg>\n", out);
}
