/* Intrusive doubly linked list; an unlinked node points to itself. */
#pragma once

#include <stdbool.h>

struct bf_list {
	struct bf_list *prev, *next;
};

static inline void bf_list_init(struct bf_list *l)
{
	l->prev = l->next = l;
}

static inline bool bf_list_empty(const struct bf_list *l)
{
	return l->next == l;
}

static inline void bf_list_append(struct bf_list *head, struct bf_list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

static inline void bf_list_remove(struct bf_list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	node->prev = node->next = node;
}

#define BF_LIST_FOREACH_SAFE(it, tmp, head)                           \
	for ((it) = (head)->next, (tmp) = (it)->next; (it) != (head); \
	     (it) = (tmp), (tmp) = (it)->next)
