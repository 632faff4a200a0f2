/* The reference for people, as mdoc(7) and as Markdown, from the same walk over the tables. */
#include "common/schema/describe.h"

#include <stdio.h>
#include <string.h>

#include "common/schema/value.h"

/* How one output format puts things; the walk knows only these. */
struct style {
	int (*section)(struct bf_buf *out, const char *name, const char *doc);
	int (*item)(struct bf_buf *out, const char *name, const struct bf_field *f);
	/* One whose members were described elsewhere. */
	int (*same)(struct bf_buf *out, const char *name, const char *elsewhere,
		    const struct bf_field *f);
	int (*section_end)(struct bf_buf *out);
};

#define NAME_MAX_BYTES 256
#define TABLES_MAX     64

struct walk {
	struct bf_buf *out;
	const struct style *style;
	struct described {
		const struct bf_table *table;
		char name[NAME_MAX_BYTES];
	} tables[TABLES_MAX];
	unsigned count;
};

static const char *type_name(const struct bf_field *f)
{
	switch ((enum bf_field_type)f->type) {
	case BF_T_BOOL:
		return "true or false";
	case BF_T_INT:
	case BF_T_UINT:
		return "number";
	case BF_T_DURATION:
		return "duration";
	case BF_T_SIZE:
		return "size";
	case BF_T_DECIMAL:
		return "decimal number";
	case BF_T_TIME:
		return "time";
	case BF_T_TRISTATE:
		return "true or false";
	case BF_T_STRING:
		return "string";
	case BF_T_SECRET:
		return "secret string";
	case BF_T_BYTES:
		return "bytes";
	case BF_T_ENUM:
		return "choice";
	case BF_T_STRINGS:
		return "list of strings";
	case BF_T_OBJECT:
	case BF_T_MAP:
		return "mapping";
	case BF_T_PAIRS:
		return "mapping of names to strings";
	case BF_T_LIST:
		return "list";
	case BF_T_COUNT:
		break;
	}
	return "value";
}

static const char *reload_text(const struct bf_field *f)
{
	switch ((enum bf_reload)f->reload) {
	case BF_RELOAD_ROLL:
		return "A reload replaces the processes that use it, one by one.";
	case BF_RELOAD_LIVE:
		return "A reload takes it over at once.";
	case BF_RELOAD_START:
		return "Needs a restart; a reload that changes it is refused.";
	}
	return "";
}

static void bounds_and_choices(const struct bf_field *f, char *out, size_t size)
{
	char bounds[96];
	size_t used = 0;

	(void)snprintf(out, size, "%s", bf_bounds_text(f, bounds));
	for (size_t i = 0; f->choices && f->choices[i]; i++) {
		int n = snprintf(out + used, size - used, "%s%s", i ? ", " : "", f->choices[i]);
		if (n < 0 || (size_t)n >= size - used)
			return;
		used += (size_t)n;
	}
}

/* "type, bounds" in one go. */
static void kind_text(const struct bf_field *f, char *out, size_t size)
{
	char bounds[256];

	bounds_and_choices(f, bounds, sizeof(bounds));
	if (f->type == BF_T_ENUM)
		(void)snprintf(out, size, "%s", bounds);
	else
		(void)snprintf(out, size, "%s%s%s%s", type_name(f), bounds[0] ? " " : "", bounds,
			       f->flags & BF_REQUIRED ? ", required" : "");
}

static int mdoc_text(struct bf_buf *out, const char *text)
{
	int r = 0;
	bool line_start = true;

	for (; *text && r == 0; text++) {
		/* A dot or quote that opens a line would be a request. */
		if (line_start && (*text == '.' || *text == '\''))
			r = bf_buf_append(out, "\\&", 2);
		line_start = false;
		if (r < 0)
			break;
		if (*text == '\\')
			r = bf_buf_append(out, "\\e", 2);
		else if (*text == '-')
			r = bf_buf_append(out, "\\-", 2);
		else
			r = bf_buf_append(out, text, 1);
	}
	return r < 0 ? r : bf_buf_append(out, "\n", 1);
}

/* Every sentence on a line of its own, as mdoc wants it. */
static int mdoc_sentences(struct bf_buf *out, const char *doc)
{
	int r = 0;

	while (*doc && r == 0) {
		char sentence[512];
		const char *end = strstr(doc, ". ");
		size_t len = end ? (size_t)(end - doc) + 1 : strlen(doc);

		(void)snprintf(sentence, sizeof(sentence), "%.*s", (int)len, doc);
		r = mdoc_text(out, sentence);
		doc += len;
		doc += *doc == ' ';
	}
	return r;
}

static int mdoc_section(struct bf_buf *out, const char *name, const char *doc)
{
	int r = bf_buf_printf(out, ".Ss %s\n", name);

	if (r == 0 && doc)
		r = mdoc_sentences(out, doc);
	return r < 0 ? r : bf_buf_printf(out, ".Bl -tag -width Ds\n");
}

static int mdoc_item(struct bf_buf *out, const char *name, const struct bf_field *f)
{
	char kind[512];
	int r;

	kind_text(f, kind, sizeof(kind));
	r = bf_buf_printf(out, ".It Ic %s Pq %s\n", name, kind);
	if (r == 0 && f->doc)
		r = mdoc_sentences(out, f->doc);
	if (r == 0 && f->dflt)
		r = bf_buf_printf(out, "Default:\n.Ql %s .\n", f->dflt);
	return r < 0 ? r : mdoc_sentences(out, reload_text(f));
}

static int mdoc_same(struct bf_buf *out, const char *name, const char *elsewhere,
		     const struct bf_field *f)
{
	int r = bf_buf_printf(out, ".It Ic %s Pq as %s\n", name, elsewhere);

	return r < 0 || !f->doc ? r : mdoc_sentences(out, f->doc);
}

static int mdoc_section_end(struct bf_buf *out)
{
	return bf_buf_printf(out, ".El\n");
}

static int markdown_section(struct bf_buf *out, const char *name, const char *doc)
{
	return bf_buf_printf(
	    out, "## %s\n\n%s\n\n| Key | Kind | Default | Meaning |\n|---|---|---|---|\n", name,
	    doc ? doc : "");
}

/* A bar would end the cell, a star start emphasis. */
static int markdown_text(struct bf_buf *out, const char *text)
{
	int r = 0;

	for (; *text && r == 0; text++) {
		if (strchr("|*<>_\\", *text))
			r = bf_buf_append(out, "\\", 1);
		if (r == 0)
			r = bf_buf_append(out, text, 1);
	}
	return r;
}

static int markdown_item(struct bf_buf *out, const char *name, const struct bf_field *f)
{
	char kind[512];
	int r;

	kind_text(f, kind, sizeof(kind));
	r = bf_buf_printf(out, "| `%s` | %s | %s%s%s | ", name, kind, f->dflt ? "`" : "",
			  f->dflt ? f->dflt : "", f->dflt ? "`" : "");
	if (r == 0 && f->doc)
		r = markdown_text(out, f->doc);
	return r < 0 ? r : bf_buf_printf(out, " %s |\n", reload_text(f));
}

static int markdown_same(struct bf_buf *out, const char *name, const char *elsewhere,
			 const struct bf_field *f)
{
	int r = bf_buf_printf(out, "| `%s` | as `%s` | | ", name, elsewhere);

	if (r == 0 && f->doc)
		r = markdown_text(out, f->doc);
	return r < 0 ? r : bf_buf_printf(out, " |\n");
}

static int markdown_section_end(struct bf_buf *out)
{
	return bf_buf_printf(out, "\n");
}

static int walk_table(struct walk *w, const struct bf_table *table, const char *prefix,
		      bool skip_first);

static const struct described *find(const struct walk *w, const struct bf_table *table)
{
	for (unsigned i = 0; i < w->count; i++)
		if (w->tables[i].table == table)
			return &w->tables[i];
	return NULL;
}

/* What stands before the names of a container's members. */
static int walk_container(struct walk *w, const struct bf_field *f, const char *name)
{
	char below[NAME_MAX_BYTES];
	const char *tail = f->type == BF_T_LIST ? "[]" : f->type == BF_T_MAP ? ".NAME" : "";
	const struct described *before = find(w, f->sub);

	int n = snprintf(below, sizeof(below), "%s%s", name, tail);

	if (n < 0 || (size_t)n >= sizeof(below))
		return BF_E_LIMIT;
	if (before)
		return w->style->same(w->out, below, before->name, f);
	if (w->count < TABLES_MAX) {
		w->tables[w->count].table = f->sub;
		memcpy(w->tables[w->count++].name, below, sizeof(below));
	}
	return walk_table(w, f->sub, below, f->type == BF_T_MAP);
}

static int walk_table(struct walk *w, const struct bf_table *table, const char *prefix,
		      bool skip_first)
{
	int r = 0;

	for (uint16_t i = skip_first ? 1 : 0; i < table->field_count && r == 0; i++) {
		const struct bf_field *f = &table->fields[i];
		char name[NAME_MAX_BYTES];

		if (f->flags & (BF_HIDDEN | BF_INTERNAL))
			continue;
		int n =
		    snprintf(name, sizeof(name), "%s%s%s", prefix, prefix[0] ? "." : "", f->name);
		if (n < 0 || (size_t)n >= sizeof(name))
			return BF_E_LIMIT;
		r = f->sub ? walk_container(w, f, name) : w->style->item(w->out, name, f);
	}
	return r;
}

static int section_of(struct walk *w, const struct bf_field *f)
{
	int r = w->style->section(w->out, f->name, f->sub->doc);

	if (r == 0)
		r = walk_container(w, f, f->name);
	return r < 0 ? r : w->style->section_end(w->out);
}

/* Single keys of the top first, then one section per block. */
static int describe(const struct bf_table *table, struct bf_buf *out, const struct style *style)
{
	struct walk w = {.out = out, .style = style};
	int r = style->section(out, "Top level", NULL);

	for (uint16_t i = 0; i < table->field_count && r == 0; i++) {
		const struct bf_field *f = &table->fields[i];

		if (!f->sub && !(f->flags & (BF_HIDDEN | BF_INTERNAL)))
			r = style->item(out, f->name, f);
	}
	if (r == 0)
		r = style->section_end(out);
	for (uint16_t i = 0; i < table->field_count && r == 0; i++)
		if (table->fields[i].sub)
			r = section_of(&w, &table->fields[i]);
	return r;
}

int bf_describe_mdoc(const struct bf_table *table, struct bf_buf *out)
{
	static const struct style style = {mdoc_section, mdoc_item, mdoc_same, mdoc_section_end};

	return describe(table, out, &style);
}

int bf_describe_markdown(const struct bf_table *table, struct bf_buf *out)
{
	static const struct style style = {markdown_section, markdown_item, markdown_same,
					   markdown_section_end};

	return describe(table, out, &style);
}
