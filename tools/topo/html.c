/* SPDX-License-Identifier: MIT */
/* One page that needs nothing else: the picture, the plan, the checks. */
#include <inttypes.h>
#include <string.h>

#include "tools/topo/markup.h"
#include "tools/topo/report.h"

static const char head[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<title>gcorn-topo</title>\n<style>\n"
    "body{font:15px/1.5 system-ui,'DejaVu Sans',sans-serif;color:#1d2733;"
    "margin:0 auto;padding:24px;max-width:1248px;background:#fff}\n"
    "h1{font-size:22px;margin:0}h2{font-size:17px;margin:28px 0 8px}\n"
    "p.sub{color:#5b6876;margin:2px 0 20px}\n"
    ".facts{display:flex;flex-wrap:wrap;gap:12px;margin:0 0 20px}\n"
    ".facts div{border:1px solid #dfe3e8;border-radius:8px;"
    "padding:10px 16px}\n"
    ".facts b{display:block;font-size:20px}.facts span{color:#5b6876;"
    "font-size:13px}\n"
    ".picture{overflow-x:auto;border:1px solid #dfe3e8;border-radius:8px}\n"
    ".picture svg{display:block;max-width:100%;height:auto}\n"
    "table{border-collapse:collapse;width:100%}\n"
    "td,th{text-align:left;padding:6px 12px 6px 0;border-bottom:1px solid "
    "#eceff2;vertical-align:top}th{color:#5b6876;font-weight:500}\n"
    "td:nth-child(2){width:26%}td:nth-child(3){width:22%}\n"
    "td.s{width:5.5em}.s b{border-radius:4px;padding:1px 7px;font-size:12px;"
    "font-weight:600}\n"
    ".pass b{background:#d8f0e4;color:#14633f}.warn b{background:#fdeecb;"
    "color:#7a5300}.fail b{background:#fadcd9;color:#932017}.unknown "
    "b{background:#e8ebef;color:#48545f}\n"
    "pre{background:#f5f6f8;border-radius:8px;padding:14px;overflow-x:auto;"
    "font-size:13px}li{margin:2px 0}\n"
    "code{font-size:12.5px;color:#5b6876;white-space:pre-wrap}\n"
    "</style></head><body>\n";

static void put_fact(FILE *out, const char *name, const char *value)
{
    fputs("<div><b>", out);
    markup_text(out, "%s", value);
    fputs("</b><span>", out);
    markup_text(out, "%s", name);
    fputs("</span></div>\n", out);
}

static void put_facts(const struct report *r, FILE *out)
{
    const struct plan *plan = r->plan;
    char text[64];

    fputs("<div class=\"facts\">\n", out);
    snprintf(text, sizeof(text), "%u", plan->n_workers);
    put_fact(out, "workers", text);
    put_fact(out, "bound by", plan_bound_name(plan->bound));
    snprintf(text, sizeof(text), "%u", plan->n_reserved);
    put_fact(out, "cores reserved", text);
    put_fact(out, "pinned to", plan_pin_name(plan->pin));
    put_fact(out, "planned per worker",
             report_size(plan->worker_bytes, text, sizeof(text)));
    if (plan->safe_limit_bytes > 0)
        put_fact(out, "safe limit per worker",
                 report_size(plan->safe_limit_bytes, text, sizeof(text)));
    fputs("</div>\n", out);
}

static void put_notes(const struct report *r, FILE *out)
{
    fputs("<ul>\n<li>", out);
    markup_text(out, "pin: %s (%s)", plan_pin_name(r->plan->pin),
                r->plan->pin_reason);
    fputs("</li>\n<li>", out);
    markup_text(out, "one more worker would need: %s", r->plan->one_more);
    fputs("</li>\n", out);
    for (uint32_t i = 0; i < r->plan->n_warnings; i++) {
        fputs("<li>", out);
        markup_text(out, "%s", r->plan->warnings[i]);
        fputs("</li>\n", out);
    }
    if (report_is_guest(r)) {
        fputs("<li>", out);
        markup_text(out,
                    "%s guest: caches, clock and memory modules are as "
                    "the hypervisor presents them",
                    r->host.virt);
        fputs("</li>\n", out);
    }
    fputs("</ul>\n", out);
}

static void put_check(FILE *out, const struct check *check)
{
    const char *status = check_status_name(check->status);

    fprintf(out, "<tr><td class=\"s %s\"><b>%s</b></td><td>", status, status);
    markup_text(out, "%s", check->title);
    fputs("</td><td>", out);
    markup_text(out, "%s", check->need);
    fputs("</td><td>", out);
    markup_text(out, "%s", check->found);
    if (check->status != CHECK_PASS && check->remedy[0]) {
        fputs("<br><code>", out);
        markup_text(out, "%s", check->remedy);
        fputs("</code>", out);
    }
    fputs("</td></tr>\n", out);
}

static void put_checks(const struct report *r, const char *group,
                       const char *title, FILE *out)
{
    fprintf(out,
            "<h2>%s</h2>\n<table><tr><th></th><th></th><th>need</th>"
            "<th>found</th></tr>\n",
            title);
    for (uint32_t i = 0; i < r->checks.n; i++)
        if (strcmp(r->checks.items[i].group, group) == 0)
            put_check(out, &r->checks.items[i]);
    fputs("</table>\n", out);
}

/* An empty heading would look as if something was lost. */
static bool has_fixes(const struct report *r)
{
    for (uint32_t i = 0; i < r->checks.n; i++)
        if (r->checks.items[i].status != CHECK_PASS &&
            r->checks.items[i].remedy[0])
            return true;
    return false;
}

static void put_fixes(const struct report *r, FILE *out)
{
    if (!has_fixes(r))
        return;
    fputs("<h2>Commands that would help</h2>\n<pre>", out);
    for (uint32_t i = 0; i < r->checks.n; i++) {
        const struct check *check = &r->checks.items[i];

        if (check->status == CHECK_PASS || !check->remedy[0])
            continue;
        markup_text(out, "%s", check->remedy);
        fputc('\n', out);
    }
    fputs("</pre>\n", out);
}

static void put_title(const struct report *r, FILE *out)
{
    struct tm tm;
    char when[32], result[128];

    gmtime_r(&r->when, &tm);
    strftime(when, sizeof(when), "%Y-%m-%d %H:%M UTC", &tm);
    report_result(r, result, sizeof(result));
    fputs("<h1>", out);
    markup_text(out, "%s",
                r->processor.model[0] ? r->processor.model : "This machine");
    fputs("</h1>\n<p class=\"sub\">", out);
    markup_text(out, "gcorn-topo %s, %s%s%s%s%s. Production tier: %s",
                GCORN_VERSION, when, r->host.name[0] ? ", host " : "",
                r->host.name, r->host.kernel[0] ? ", Linux " : "",
                r->host.kernel, result);
    fputs("</p>\n", out);
}

void report_html(const struct report *report, FILE *out)
{
    fputs(head, out);
    put_title(report, out);
    put_facts(report, out);
    put_notes(report, out);
    fputs("<div class=\"picture\">\n", out);
    report_svg(report, out);
    fputs("</div>\n", out);
    put_checks(report, "tier", "High-Density Production Tier", out);
    if (report->root)
        put_checks(report, "kernel", "Kernel", out);
    put_fixes(report, out);
    fputs("</body></html>\n", out);
}
