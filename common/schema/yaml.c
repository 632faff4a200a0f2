/*
 * YAML text to nodes, by libyaml's events. Called by load.c. Must never follow an alias (a few
 * hundred bytes of them expand to gigabytes), nor let a tag choose a type.
 */
#include <yaml.h>

#include <stdio.h>
#include <string.h>

#include "common/schema/node.h"

struct reader {
	yaml_parser_t parser;
	struct bf_slice bytes;
	struct bf_tree *tree;
	uint32_t documents;
};

static struct bf_pos pos_of(const yaml_mark_t *mark)
{
	return (struct bf_pos){(uint32_t)mark->line + 1, (uint32_t)mark->column + 1};
}

/* Position of a byte, for the errors of libyaml's lowest layer that carry only an offset. */
static struct bf_pos pos_of_offset(struct bf_slice bytes, size_t offset)
{
	struct bf_pos pos = {1, 1};

	for (size_t i = 0; i < offset && i < bytes.len; i++) {
		bool continues = ((unsigned char)bytes.ptr[i] & 0xc0) == 0x80;

		if (bytes.ptr[i] == '\n')
			pos = (struct bf_pos){pos.line + 1, 1};
		else if (!continues)
			pos.col++;
	}
	return pos;
}

/* Is there a tab among the blanks that open this line? */
static bool line_indented_by_tab(struct bf_slice bytes, size_t line)
{
	size_t i = 0;

	for (; line > 0 && i < bytes.len; i++)
		line -= bytes.ptr[i] == '\n';
	for (; i < bytes.len && (bytes.ptr[i] == ' ' || bytes.ptr[i] == '\t'); i++)
		if (bytes.ptr[i] == '\t')
			return true;
	return false;
}

static void report_parser_error(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;
	const char *problem = p->problem ? p->problem : "cannot be read";
	char text[512];

	if (p->error == YAML_MEMORY_ERROR) {
		bf_tree_fail(r->tree, (struct bf_pos){0, 0},
			     "the file does not fit into memory: make it smaller");
		return;
	}
	if (p->error == YAML_READER_ERROR) {
		(void)snprintf(text, sizeof(text), "not YAML: %s: remove this byte", problem);
		bf_tree_fail(r->tree, pos_of_offset(r->bytes, p->problem_offset), text);
		return;
	}
	if (p->error == YAML_SCANNER_ERROR &&
	    line_indented_by_tab(r->bytes, p->problem_mark.line)) {
		bf_tree_fail(r->tree, pos_of(&p->problem_mark),
			     "not YAML: indented by a tab: use spaces");
		return;
	}
	if (p->context)
		(void)snprintf(text, sizeof(text), "not YAML: %s %s (begun in line %zu)", problem,
			       p->context, p->context_mark.line + 1);
	else
		(void)snprintf(text, sizeof(text), "not YAML: %s: check indentation and quotes",
			       problem);
	bf_tree_fail(r->tree, pos_of(&p->problem_mark), text);
}

/* An explicit tag would be a second type system beside the tables. */
static bool refuse_tag(struct reader *r, const yaml_char_t *tag, struct bf_pos pos)
{
	if (!tag)
		return false;
	bf_diag(r->tree->diags, BF_DIAG_ERROR, pos,
		"the tag \"%.60s\" has no meaning here: remove it", (const char *)tag);
	return true;
}

static void on_scalar(struct reader *r, const yaml_event_t *e)
{
	struct bf_pos pos = pos_of(&e->start_mark);
	bool plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

	if (refuse_tag(r, e->data.scalar.tag, pos)) {
		bf_tree_bad(r->tree, pos);
		return;
	}
	struct bf_slice text = {(const char *)e->data.scalar.value, e->data.scalar.length};
	text = bf_arena_dup(r->tree->arena, text);
	if (!text.ptr)
		bf_tree_fail(r->tree, pos, "the file does not fit into memory: make it smaller");
	bf_tree_scalar(r->tree, text, plain ? BF_TEXT_PLAIN : BF_TEXT_QUOTED, pos);
}

static void on_event(struct reader *r, const yaml_event_t *e)
{
	struct bf_pos pos = pos_of(&e->start_mark);

	switch (e->type) {
	case YAML_SCALAR_EVENT:
		on_scalar(r, e);
		break;
	case YAML_ALIAS_EVENT:
		bf_diag(r->tree->diags, BF_DIAG_ERROR, pos,
			"aliases (*%.60s) are not supported: write the value out",
			(const char *)e->data.alias.anchor);
		bf_tree_bad(r->tree, pos);
		break;
	case YAML_SEQUENCE_START_EVENT:
		(void)refuse_tag(r, e->data.sequence_start.tag, pos);
		bf_tree_open(r->tree, BF_NODE_LIST, pos);
		break;
	case YAML_MAPPING_START_EVENT:
		(void)refuse_tag(r, e->data.mapping_start.tag, pos);
		bf_tree_open(r->tree, BF_NODE_MAP, pos);
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		bf_tree_close(r->tree);
		break;
	case YAML_DOCUMENT_START_EVENT:
		if (++r->documents == 2)
			bf_tree_fail(r->tree, pos,
				     "a second document begins here: keep one per file");
		break;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		break;
	}
}

void bf_yaml_read(struct bf_slice bytes, struct bf_tree *tree)
{
	struct reader r = {.bytes = bytes, .tree = tree};
	bool at_end = false;

	if (!yaml_parser_initialize(&r.parser)) {
		bf_tree_fail(tree, (struct bf_pos){0, 0},
			     "the file does not fit into memory: make it smaller");
		return;
	}
	/* Never guess UTF-16: the caller checked for UTF-8. */
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)(bytes.ptr ? bytes.ptr : ""),
				     bytes.len);
	while (!at_end && !tree->failed) {
		yaml_event_t event;

		if (!yaml_parser_parse(&r.parser, &event)) {
			report_parser_error(&r);
			break;
		}
		on_event(&r, &event);
		at_end = event.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&r.parser);
}
