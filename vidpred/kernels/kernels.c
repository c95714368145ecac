/* Winograd's transforms of tiles: each tile goes once through the registers.
 *
 * The command line defines TILE, the outputs of a tile along an axis, SIDE, its inputs,
 * PARTS, into which a kernel is cut, BLOCK, the channels that go together, and the matrices INPUTS
 * (SIDE x SIDE), OUTPUTS (SIDE x TILE) and FILTERS (SIDE x TAPS). Their rows belong to points: 0, then pairs +p, -p, then infinity where SIDE
 * is even. In a pair even columns are equal and odd ones opposite, which halves the work.
 *
 * Frames are (batch, height, width, channels). Transformed tiles are (SIDE * SIDE, tiles, channels)
 * of outputs and (SIDE * SIDE, tiles, PARTS * PARTS, channels) of inputs: those of each part of
 * the kernel. Weights are frames with one tile each, whose pixels the parts share.
 */
#include <stddef.h>
#include <string.h>

#define TAPS (SIDE - TILE + 1)
#define PAIRS ((SIDE - 1) / 2)
#define ALL_PARTS (PARTS * PARTS)
_Static_assert(PARTS == 1 || TAPS == TILE, "parts use the inputs of other tiles");
#define LANES 8 /* channels in a register */
#define WIDTH (BLOCK / LANES) /* registers side by side; two are a line of the cache */
#define INLINE static inline __attribute__((always_inline))
#define UNROLLED _Pragma("GCC unroll 8")

typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));
typedef int bits __attribute__((vector_size(LANES * sizeof(int))));
typedef float lanes_anywhere __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

static const float input_matrix[SIDE * SIDE] = {INPUTS};
static const float output_matrix[SIDE * TILE] = {OUTPUTS};
static const float filter_matrix[SIDE * TAPS] = {FILTERS};

/* The rows of tiles from `first` on, `rows` of them, of all frames. */
typedef struct {
    ptrdiff_t batch, height, width, channels, columns, padding, first, rows;
} band;

/* Where a tile of a band begins; `frame` is the offset of its frame. */
typedef struct {
    ptrdiff_t frame, top, left;
} place;

INLINE place place_of(const band *b, ptrdiff_t tile)
{
    const ptrdiff_t row = tile / b->columns, n = row / b->rows;
    return (place){n * b->height * b->width * b->channels,
                   (b->first + row % b->rows) * TILE - b->padding,
                   tile % b->columns * TILE - b->padding};
}

INLINE place part_of(place tile, int part)
{
    tile.top += part / PARTS * TAPS, tile.left += part % PARTS * TAPS;
    return tile;
}

INLINE ptrdiff_t tiles_of(const band *b) { return b->batch * b->rows * b->columns; }

/* SIDE x SIDE inputs, and the parts of tiles that use them: the tile's number times ALL_PARTS, and
 * the part's. */
typedef struct {
    place at;
    int uses;
    ptrdiff_t used[ALL_PARTS];
} window;

INLINE window window_of(const band *b, ptrdiff_t n, ptrdiff_t row, ptrdiff_t column)
{
    window s = {.at = {n * b->height * b->width * b->channels,
                      (b->first + row) * TILE - b->padding, column * TILE - b->padding}};
    UNROLLED for (int part = 0; part < ALL_PARTS; part++) {
        const ptrdiff_t y = row - part / PARTS, x = column - part % PARTS;
        if (PARTS == 1 || (y >= 0 && y < b->rows && x >= 0 && x < b->columns))
            s.used[s.uses++] = ((n * b->rows + y) * b->columns + x) * ALL_PARTS + part;
    }
    return s;
}

/* The part of SIDE rows or columns of a frame's `size`, from `begin` on, that lies inside. */
INLINE int begin_inside(ptrdiff_t begin) { return begin < 0 ? (int)-begin : 0; }
INLINE int end_inside(ptrdiff_t begin, ptrdiff_t size, int side)
{
    return begin + side <= size ? side : (int)(size - begin);
}

/* Registers from memory and back, whole where `count` is BLOCK. By memcpy alone they would go in
 * halves, for which the loads that follow have to wait. */
INLINE void get(lanes *to, const float *from, int count)
{
    for (int v = 0; v < WIDTH; v++) {
        if (count == BLOCK) to[v] = *(const lanes_anywhere *)(from + v * LANES);
        else to[v] = (lanes){0};
    }
    if (count != BLOCK) memcpy(to, from, count * sizeof(float));
}

INLINE void put(float *to, const lanes *from, int count)
{
    if (count != BLOCK) memcpy(to, from, count * sizeof(float));
    else for (int v = 0; v < WIDTH; v++) *(lanes_anywhere *)(to + v * LANES) = from[v];
}

/* Values where others are above zero or no numbers, as torch has it; zero elsewhere. */
INLINE lanes where_positive(lanes values, lanes others)
{
    return (lanes)((bits)values & ~(bits)(others <= (lanes){0}));
}

/* row @ from, in two parts; `step` registers from one number to the next. */
INLINE void sums(const float *row, int n, const lanes *from, int step, lanes *even, lanes *odd)
{
    *even = *odd = (lanes){0};
    UNROLLED for (int i = 0; i < n; i++)
        if (row[i] != 0) {
            if (i % 2) *odd += row[i] * from[i * step];
            else *even += row[i] * from[i * step];
        }
}

/* matrix @ from: the polynomial with these n coefficients at all points. */
INLINE void evaluate(const float *matrix, int n, const lanes *from, int step, lanes *to, int to_step)
{
    step *= WIDTH, to_step *= WIDTH;
    for (int v = 0; v < WIDTH; v++, from++, to++) {
        lanes even, odd;
        sums(matrix, n, from, step, &even, &odd);
        to[0] = even + odd;
        UNROLLED for (int r = 1; r < 2 * PAIRS; r += 2) {
            sums(matrix + r * n, n, from, step, &even, &odd);
            to[r * to_step] = even + odd;
            to[(r + 1) * to_step] = even - odd;
        }
        if (SIDE % 2 == 0) {
            sums(matrix + (SIDE - 1) * n, n, from, step, &even, &odd);
            to[(SIDE - 1) * to_step] = even + odd;
        }
    }
}

/* matrix.T @ from. */
INLINE void combine(const float *matrix, int n, const lanes *from, int step, lanes *to, int to_step)
{
    step *= WIDTH, to_step *= WIDTH;
    for (int v = 0; v < WIDTH; v++, from++, to++) {
        lanes even[PAIRS + 1], odd[PAIRS + 1];
        UNROLLED for (int p = 1; p <= PAIRS; p++) {
            even[p] = from[(2 * p - 1) * step] + from[2 * p * step];
            odd[p] = from[(2 * p - 1) * step] - from[2 * p * step];
        }
        UNROLLED for (int i = 0; i < n; i++) {
            lanes sum = {0};
            if (matrix[i] != 0) sum += matrix[i] * from[0];
            UNROLLED for (int p = 1; p <= PAIRS; p++)
                if (matrix[(2 * p - 1) * n + i] != 0)
                    sum += matrix[(2 * p - 1) * n + i] * (i % 2 ? odd[p] : even[p]);
            if (SIDE % 2 == 0 && matrix[(SIDE - 1) * n + i] != 0)
                sum += matrix[(SIDE - 1) * n + i] * from[(SIDE - 1) * step];
            to[i * to_step] = sum;
        }
    }
}

/* The inputs of a tile, zero beyond its edges: side x side inputs. */
INLINE void load_tile(const band *b, const float *frames, place at, int side, int count, lanes *transformed)
{
    const int top = begin_inside(at.top), bottom = end_inside(at.top, b->height, side);
    const int left = begin_inside(at.left), right = end_inside(at.left, b->width, side);
    if (top > 0 || left > 0 || bottom < side || right < side)
        for (int k = 0; k < side * side * WIDTH; k++) transformed[k] = (lanes){0};
    for (int y = top; y < bottom; y++) {
        const float *row = frames + at.frame + ((at.top + y) * b->width + at.left) * b->channels;
        for (int x = left; x < right; x++)
            get(transformed + (y * side + x) * WIDTH, row + x * b->channels, count);
    }
}

/* n x n pixels to their values at all points, by a matrix (SIDE x n). They are `next` numbers from
 * each other, and written as often as they are used. Pixels where `activated` is zero are zero. */
INLINE void evaluate_block(const float *matrix, int n, const band *b, const float *frames,
                         const float *activated, place at, int count, float *values,
                         ptrdiff_t next, const ptrdiff_t *used, int uses)
{
    lanes tile[SIDE * SIDE * WIDTH], half[SIDE * SIDE * WIDTH], row[SIDE * WIDTH];
    load_tile(b, frames, at, n, count, tile);
    if (activated) {
        load_tile(b, activated, at, n, count, half);
        for (int k = 0; k < n * n * WIDTH; k++) tile[k] = where_positive(tile[k], half[k]);
    }
    for (int x = 0; x < n; x++) evaluate(matrix, n, tile + x * WIDTH, n, half + x * WIDTH, n);
    for (int y = 0; y < SIDE; y++) {
        evaluate(matrix, n, half + y * n * WIDTH, 1, row, 1);
        for (int k = 0; k < uses; k++) {
            float *to = values + used[k] * b->channels + y * SIDE * next;
            for (int x = 0; x < SIDE; x++) put(to + x * next, row + x * WIDTH, count);
        }
    }
}

/* Its transpose: values at all points to n x n pixels, to which `bias` is added, and whose negative
 * ones become zero where `relu` is set. */
INLINE void interpolate_block(const float *matrix, int n, const band *b, const float *values,
                       ptrdiff_t next, const float *bias, int relu, place at, int count,
                       float *frames)
{
    const int bottom = end_inside(at.top, b->height, n), right = end_inside(at.left, b->width, n);
    lanes column[SIDE * WIDTH], half[SIDE * SIDE * WIDTH], row[SIDE * WIDTH], more[WIDTH] = {{0}};
    if (bias) get(more, bias, count);
    for (int x = 0; x < SIDE; x++) {
        for (int y = 0; y < SIDE; y++)
            get(column + y * WIDTH, values + (y * SIDE + x) * next, count);
        combine(matrix, n, column, 1, half + x * WIDTH, SIDE);
    }
    for (int y = 0; y < bottom; y++) {
        float *pixel = frames + at.frame + ((at.top + y) * b->width + at.left) * b->channels;
        combine(matrix, n, half + y * SIDE * WIDTH, 1, row, 1);
        for (int x = 0; x < right; x++, pixel += b->channels) {
            for (int v = 0; v < WIDTH; v++) {
                lanes *const value = row + x * WIDTH + v;
                *value += more[v];
                if (relu) *value = where_positive(*value, *value);
            }
            put(pixel, row + x * WIDTH, count);
        }
    }
}

/* The transpose of `evaluate_block` for inputs: added to what is there. */
INLINE void input_gradient_block(const band *b, const float *transformed, ptrdiff_t next, const window *s,
                          int count, float *gradient)
{
    const place at = s->at;
    const int bottom = end_inside(at.top, b->height, SIDE);
    const int left = begin_inside(at.left), right = end_inside(at.left, b->width, SIDE);
    lanes column[SIDE * WIDTH], half[SIDE * SIDE * WIDTH], row[SIDE * WIDTH], sum[WIDTH];
    for (int x = 0; x < SIDE; x++) {
        for (int y = 0; y < SIDE; y++) {
            const float *from = transformed + (y * SIDE + x) * next;
            get(column + y * WIDTH, from + s->used[0] * b->channels, count);
            for (int k = 1; k < s->uses; k++) {
                get(sum, from + s->used[k] * b->channels, count);
                for (int v = 0; v < WIDTH; v++) column[y * WIDTH + v] += sum[v];
            }
        }
        combine(input_matrix, SIDE, column, 1, half + x * WIDTH, SIDE);
    }
    for (int y = begin_inside(at.top); y < bottom; y++) {
        float *begin = gradient + at.frame + ((at.top + y) * b->width + at.left) * b->channels;
        combine(input_matrix, SIDE, half + y * SIDE * WIDTH, 1, row, 1);
        for (int x = left; x < right; x++) {
            get(sum, begin + x * b->channels, count);
            for (int v = 0; v < WIDTH; v++) sum[v] += row[x * WIDTH + v];
            put(begin + x * b->channels, sum, count);
        }
    }
}

/* Call `block` for all channels, most of the time with a number that the compiler knows. */
#define EACH_BLOCK(b, block)                               \
    for (ptrdiff_t c = 0; c < (b)->channels; c += BLOCK) { \
        const ptrdiff_t count = (b)->channels - c;         \
        if (count >= BLOCK) block(BLOCK);                  \
        else block((int)count);                            \
    }

/* A macro, since matrices that enter a parallel region as arguments are no constants in it. Parts of
 * the weights lie side by side: `used` says which one of all. */
#define EACH_PART(b, threads, parts, block)                                       \
    const ptrdiff_t next = tiles_of(b) * parts * (b)->channels;                   \
    _Pragma("omp parallel for schedule(static) num_threads(threads)")             \
    for (ptrdiff_t used = 0; used < tiles_of(b) * parts; used++) {                \
        const place at = part_of(place_of(b, used / parts), (int)(used % parts)); \
        EACH_BLOCK(b, block)                                                      \
    }

/* All windows in a row of the frame `n`. */
#define EACH_WINDOW(b, n, row, block)                           \
    for (ptrdiff_t x = 0; x < (b)->columns + PARTS - 1; x++) { \
        const window s = window_of(b, n, row, x);                \
        EACH_BLOCK(b, block)                                   \
    }

void winograd_input_transform(const band *b, const float *frames, float *transformed, int threads)
{
#define PIXELS(count) \
    evaluate_block(input_matrix, SIDE, b, frames + c, NULL, s.at, count, transformed + c, next, s.used, s.uses)
    const ptrdiff_t next = tiles_of(b) * ALL_PARTS * b->channels, rows = b->rows + PARTS - 1;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (ptrdiff_t r = 0; r < b->batch * rows; r++)
        EACH_WINDOW(b, r / rows, r % rows, PIXELS)
#undef PIXELS
}

/* Rows overlap with the next one alone, so that even and odd ones take turns: in any number of
 * threads the same sums. */
void winograd_input_gradient(const band *b, const float *transformed, float *gradient, int threads)
{
#define PIXELS(count) input_gradient_block(b, transformed + c, next, &s, count, gradient + c)
    const ptrdiff_t next = tiles_of(b) * ALL_PARTS * b->channels;
    for (ptrdiff_t odd = 0; odd < 2; odd++) {
        const ptrdiff_t rows = (b->rows + PARTS - odd) / 2;
#pragma omp parallel for schedule(static) num_threads(threads)
        for (ptrdiff_t r = 0; r < b->batch * rows; r++)
            EACH_WINDOW(b, r / rows, r % rows * 2 + odd, PIXELS)
    }
#undef PIXELS
}

void winograd_output_transform(const band *b, const float *products, const float *bias, int relu,
                               float *output, int threads)
{
#define PIXELS(count)                                                                             \
    interpolate_block(output_matrix, TILE, b, products + used * b->channels + c, next, bias ? bias + c : NULL, \
               relu, at, count, output + c)
    EACH_PART(b, threads, 1, PIXELS)
#undef PIXELS
}

void winograd_output_gradient(const band *b, const float *gradient, const float *activated,
                              float *products, int threads)
{
#define PIXELS(count)                                                                         \
    evaluate_block(output_matrix, TILE, b, gradient + c, activated ? activated + c : NULL, at, count, \
                 products + c, next, &used, 1)
    EACH_PART(b, threads, 1, PIXELS)
#undef PIXELS
}

void winograd_filter_transform(const band *b, const float *weights, float *filters, int threads)
{
#define PIXELS(count) \
    evaluate_block(filter_matrix, TAPS, b, weights + c, NULL, at, count, filters + c, next, &used, 1)
    EACH_PART(b, threads, ALL_PARTS, PIXELS)
#undef PIXELS
}

void winograd_filter_gradient(const band *b, const float *filters, float *weights, int threads)
{
#define PIXELS(count)                                                                        \
    interpolate_block(filter_matrix, TAPS, b, filters + used * b->channels + c, next, NULL, 0, at, count, \
               weights + c)
    EACH_PART(b, threads, ALL_PARTS, PIXELS)
#undef PIXELS
}
