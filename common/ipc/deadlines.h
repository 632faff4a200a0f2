/*
 * How long processes wait for each other, from the inside out. Who waits for whom waits longer than
 * what it waits for may need, so that whoever knows the outcome is the one that tells it; each says
 * so in a _Static_assert of its own.
 */
#pragma once

/* The supervisor: all workers have a snapshot, or those that have not are killed. */
#define BF_FLIP_LIMIT_MS 7000
/* writerd: what it gave is in force, or is not; a flip of the writerd before it may end first. */
#define BF_PUBLISH_LIMIT_MS 16000
/* A worker: its change was done; what was under way may have to come into force first. */
#define BF_CHANGE_LIMIT_MS 40000
/* A worker, bifrostctl: any other question. */
#define BF_QUESTION_LIMIT_MS 10000
/* The supervisor answers so much later for who was asked: the asker may have words of its own. */
#define BF_ANSWER_SLACK_MS 5000
