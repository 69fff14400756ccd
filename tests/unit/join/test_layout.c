/* tests/unit/join/test_layout.c -- columns by name
 * SPDX-License-Identifier: Apache-2.0
 */
#include "join/layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "join/field.h"

static bool header(struct layout_builder *builder, struct text line)
{
    if (!text_begins(line, "#")) {
        return false;
    }
    layout_builder_names(builder, (struct text){line.data + 1, line.len - 1}, ',');
    return true;
}

enum { SOURCE, DESTINATION, THIRD, FIELDS };
static const char *const NAMES[FIELDS] = {"src", "dst", "3"};
static const struct columns COMMAS = {NAMES, FIELDS, NULL, ',', '"', header};
static const struct columns NAMED = {NAMES, THIRD, NULL, ',', 0, header};
static const struct columns SPACES = {NAMES, FIELDS, "ts src dst", ' ', 0, header};
static const struct columns ANY = {NAMES, FIELDS, NULL, 0, '"', header};

static struct text of(const char *text)
{
    return (struct text){text, strlen(text)};
}

/* The three fields of a line in brackets, "-" for one that is absent. */
static const char *fields_of(struct layout_builder *builder, const char *line)
{
    static char out[128];
    struct text cells[LAYOUT_COLUMNS_MAX];
    struct layout *layout;
    out[0] = '\0';
    assert_int_equal(layout_make(builder, &layout), 0);
    if (layout == NULL) {
        return "no columns";
    }
    size_t count = layout_split(layout, of(line), cells);
    for (size_t i = 0; i < FIELDS; i++) {
        struct text cell = layout_cell(layout, cells, count, i);
        snprintf(out + strlen(out), sizeof(out) - strlen(out), "[%.*s]",
                 cell.data != NULL ? (int)cell.len : 1, cell.data != NULL ? cell.data : "-");
    }
    layout_drop(&layout);
    return out;
}

static void columns_are_found_by_name_wherever_they_stand(void **state)
{
    static const struct {
        const struct columns *format;
        const char *given;
        const char *line;
        const char *fields;
    } CASES[] = {
        {&COMMAS, "src,dst,x,y", "a,b,c,d", "[a][b][c]"},
        {&COMMAS, "x,dst,y,src", "a,\"b,b\",c,d", "[d][b,b][c]"},
        {&COMMAS, "src dst", "a,b", "[a][b][-]"},
        {&COMMAS, "src", "a", "[a][-][-]"},
        {&COMMAS, "src,src,dst", "a,b,c", "[a][c][c]"},
        {&COMMAS, "src,dst,x,3", "a,b,c,d", "[a][b][d]"},
        {&COMMAS, "${src}\t${dst}", "a,b", "[a][b][-]"},
        {&COMMAS, "src,dst", "a", "[a][-][-]"},
        {&COMMAS, NULL, "a,b,c", "[-][-][c]"},
        {&COMMAS, "", "a,b,c", "[-][-][c]"},
        {&NAMED, NULL, "a,b", "no columns"},
        {&NAMED, "", "a,b", "no columns"},
        {&SPACES, NULL, "1 a b", "[a][b][b]"},
        {&SPACES, "dst,src", "a b", "[b][a][-]"},
        {&ANY, "src;dst", "a;b", "[a][b][-]"},
        {&ANY, "src dst", "a b", "[a][b][-]"},
        {&ANY, "src", "a,b", "[a][-][-]"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct layout_builder builder;
        layout_builder_init(&builder, CASES[i].format, CASES[i].given, NULL, 0);
        assert_string_equal(fields_of(&builder, CASES[i].line), CASES[i].fields);
        layout_builder_fini(&builder);
    }
}

static void only_what_is_said_anew_changes_the_columns(void **state)
{
    struct layout_builder builder;
    (void)state;
    layout_builder_init(&builder, &NAMED, NULL, NULL, 0);
    assert_false(builder.changed);
    layout_builder_init(&builder, &COMMAS, NULL, NULL, 0);
    assert_true(builder.changed);
    layout_builder_names(&builder, of("src,dst"), ',');
    layout_builder_mark(&builder, LAYOUT_UNSET, of("none"));
    layout_builder_mark(&builder, LAYOUT_EMPTY, of("(empty)"));
    assert_true(builder.changed);
    assert_string_equal(fields_of(&builder, "none,(empty),x"), "[-][][x]");
    assert_false(builder.changed);
    layout_builder_names(&builder, of("src,dst"), ',');
    layout_builder_mark(&builder, LAYOUT_UNSET, of("none"));
    layout_builder_separator(&builder, ',');
    assert_false(builder.changed);
    layout_builder_separator(&builder, '\t');
    assert_true(builder.changed);
    assert_string_equal(fields_of(&builder, "a\tb"), "[a][b][-]");
    layout_builder_names(&builder, of("dst,src"), ',');
    assert_true(builder.changed);
    assert_string_equal(fields_of(&builder, "a\tb"), "[b][a][-]");
    layout_builder_mark(&builder, LAYOUT_KIND, of("a mark that is longer than there is room for"));
    assert_int_equal(strlen(builder.marks[LAYOUT_KIND]), LAYOUT_MARK_MAX);
    layout_builder_fini(&builder);
}

static void columns_beyond_the_bound_are_not_looked_at(void **state)
{
    struct layout_builder builder;
    struct layout *layout;
    struct text cells[LAYOUT_COLUMNS_MAX];
    char line[4 * LAYOUT_COLUMNS_MAX] = "";
    (void)state;
    for (size_t i = 0; i < LAYOUT_COLUMNS_MAX; i++) {
        strcat(line, "x,");
    }
    strcat(line, "src");
    layout_builder_init(&builder, &COMMAS, line, NULL, 0);
    assert_int_equal(layout_make(&builder, &layout), 0);
    assert_int_equal(layout->columns, LAYOUT_COLUMNS_MAX + 1);
    assert_int_equal(layout_split(layout, of(line), cells), LAYOUT_COLUMNS_MAX);
    assert_null(layout_cell(layout, cells, LAYOUT_COLUMNS_MAX, SOURCE).data);
    layout_drop(&layout);
    layout_builder_fini(&builder);
}

static void the_last_holder_frees_a_layout(void **state)
{
    struct layout_builder builder;
    struct layout *layout;
    (void)state;
    layout_builder_init(&builder, &SPACES, NULL, NULL, 0);
    assert_int_equal(layout_make(&builder, &layout), 0);
    layout_builder_fini(&builder);
    struct layout *held = layout_hold(layout);
    assert_ptr_equal(held, layout);
    layout_drop(&layout);
    assert_null(layout);
    assert_int_equal(held->column[SOURCE], 1);
    layout_drop(&held);
    layout_drop(&held);
    assert_null(layout_hold(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_found_by_name_wherever_they_stand),
        cmocka_unit_test(only_what_is_said_anew_changes_the_columns),
        cmocka_unit_test(columns_beyond_the_bound_are_not_looked_at),
        cmocka_unit_test(the_last_holder_frees_a_layout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
