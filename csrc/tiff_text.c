/* A scan for a few words, not a parser: the text is anybody's, and all of it is optional. */
#include "tiff_text.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Sides of pixels of an electron microscope; 72 dpi and its like lie far above. */
static const double SMALLEST_NM = 0.1, LARGEST_NM = 10e3;

enum { WORD_ROOM = 64, DIGITS_AFTER_POINT = 9 };

static const struct {
    const char *name;
    double nm;
} UNITS[] = {
    {"pm", 1e-3},
    {"angstrom", 0.1},
    {"A", 0.1},
    {"\xc3\x85", 0.1},     /* U+00C5, A with a ring */
    {"\xe2\x84\xab", 0.1}, /* U+212B, the sign for the unit */
    {"nm", 1},
    {"nanometer", 1},
    {"nanometers", 1},
    {"nanometre", 1},
    {"nanometres", 1},
    {"um", 1e3},
    {"\xc2\xb5m", 1e3}, /* U+00B5, the micro sign */
    {"\xb5m", 1e3},     /* the same in Latin-1 */
    {"\xce\xbcm", 1e3}, /* U+03BC, the letter mu */
    {"\\u00B5m", 1e3},
    {"\\u00b5m", 1e3},
    {"&#181;m", 1e3},
    {"&#xB5;m", 1e3},
    {"&#xb5;m", 1e3},
    {"micron", 1e3},
    {"microns", 1e3},
    {"micrometer", 1e3},
    {"micrometers", 1e3},
    {"micrometre", 1e3},
    {"micrometres", 1e3},
    {"mm", 1e6},
    {"cm", 1e7},
    {"inch", 25.4e6},
    {"m", 1e9},
};

/* Nanometres of a unit, or 0 for an unknown one. */
static double unit_nm(const char *name)
{
    for (size_t i = 0; i < sizeof UNITS / sizeof *UNITS; i++)
        if (strcmp(name, UNITS[i].name) == 0) return UNITS[i].nm;
    return 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The integer at the start of `text`, at most 10^15; `end` is behind it. */
static int64_t whole_number(const char **end, const char *text)
{
    int64_t value = 0;

    for (; is_digit(*text); text++)
        if (value < INT64_C(100000000000000)) value = value * 10 + (*text - '0');
    *end = text;
    return value;
}

/* The positive decimal number at the start of `text`, or 0. */
static double number(const char *text)
{
    double value = 0;
    int64_t power = 0, exponent;
    bool negative;

    while (*text == ' ' || *text == '+') text++;
    for (; is_digit(*text); text++) value = value * 10 + (*text - '0');
    if (*text == '.')
        for (text++; is_digit(*text); text++, power--) value = value * 10 + (*text - '0');
    if (*text == 'e' || *text == 'E') {
        negative = text[1] == '-';
        text += 1 + (text[1] == '-' || text[1] == '+');
        exponent = whole_number(&text, text);
        power += negative ? -exponent : exponent;
    }
    return value > 0 ? value * pow(10, (double)power) : 0;
}

/* Six digits of what can be an electron microscope's, 0 of anything else. */
static double believable(double nm)
{
    double unit;

    if (!(nm >= SMALLEST_NM * (1 - 1e-6) && nm <= LARGEST_NM * (1 + 1e-6))) return 0;
    unit = pow(10, 5 - floor(log10(nm)));
    return round(nm * unit) / unit;
}

/* Copies from `from` up to one of `ends` or the end of the text into `out` (WORD_ROOM bytes). */
static void copy_word(char *out, const char *from, const char *ends)
{
    size_t length = strcspn(from, ends);

    if (length >= WORD_ROOM) length = WORD_ROOM - 1;
    memcpy(out, from, length);
    out[length] = 0;
}

/* The value of the line "key=value"; false if there is no such line. */
static bool line_value(char *value, const char *text, const char *key)
{
    size_t length = strlen(key);

    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, length) == 0 && line[length] == '=') {
            copy_word(value, line + length + 1, "\r\n");
            return true;
        }
    }
    return false;
}

static double line_number(const char *text, const char *key)
{
    char value[WORD_ROOM];

    return line_value(value, text, key) ? number(value) : 0;
}

/* The value of the attribute name="value"; false if there is none. */
static bool attribute_value(char *value, const char *text, const char *name)
{
    size_t length = strlen(name);
    const char *at = text, *after;

    for (; (at = strstr(at, name)); at += length) {
        after = at + length;
        after += strspn(after, " \t\r\n");
        if (*after != '=') continue;
        after++;
        after += strspn(after, " \t\r\n");
        if (*after != '"' && *after != '\'') continue;
        copy_word(value, after + 1, *after == '"' ? "\"" : "'");
        return true;
    }
    return false;
}

/* The length in attribute `name`; micrometres where `unit_name` does not say. */
static double attribute_nm(const char *text, const char *name, const char *unit_name)
{
    char value[WORD_ROOM], unit[WORD_ROOM];
    double nm = 1e3;

    if (!attribute_value(value, text, name)) return 0;
    if (attribute_value(unit, text, unit_name)) nm = unit_nm(unit);
    return number(value) * nm;
}

static void read_ome(struct tiff_text *out, const char *pixels)
{
    char value[WORD_ROOM];

    out->pixel_nm = attribute_nm(pixels, "PhysicalSizeX", "PhysicalSizeXUnit");
    out->spacing_nm = attribute_nm(pixels, "PhysicalSizeZ", "PhysicalSizeZUnit");
    if (attribute_value(value, pixels, "SizeC")) out->channels = (int64_t)fmin(number(value), 1e9);
}

/* ImageJ's resolution is in its own unit; only "um" beside centimetres is not
 * (FileOpener.decodeDescriptionString). */
static void read_imagej(struct tiff_text *out, const char *text, double resolution, int unit)
{
    char name[WORD_ROOM];
    double nm = line_value(name, text, "unit") ? unit_nm(name) : 0;
    double spacing_unit = line_value(name, text, "zunit") ? unit_nm(name) : nm;
    bool centimetres = unit == TIFF_TEXT_CENTIMETRE && nm == 1e3;

    if (resolution > 0) out->pixel_nm = (centimetres ? 1e7 : nm) / resolution;
    out->spacing_nm = line_number(text, "spacing") * spacing_unit;
    out->images = (int64_t)fmin(line_number(text, "images"), 1e15);
    out->channels = (int64_t)fmin(line_number(text, "channels"), 1e9);
}

/* tifffile's {"shape": [z, y, x], "truncated": true}. */
static void read_tifffile(struct tiff_text *out, const char *text, int64_t plane)
{
    static const char HEAD[] = "{\"shape\": [";
    int64_t product = 1;

    if (strncmp(text, HEAD, sizeof HEAD - 1) != 0 || !strstr(text, "\"truncated\": true")) return;
    text += sizeof HEAD - 1;
    while (is_digit(*text)) {
        if (__builtin_mul_overflow(product, whole_number(&text, text), &product)) return;
        text += strspn(text, ", ");
    }
    if (plane > 0 && product % plane == 0) out->images = product / plane;
}

void tiff_text_read(struct tiff_text *out, const char *description, double resolution, int unit,
                    int64_t plane)
{
    const char *pixels = strstr(description, "<Pixels");

    *out = (struct tiff_text){.channels = 1};
    if (strncmp(description, "ImageJ=", 7) == 0) read_imagej(out, description, resolution, unit);
    else if (pixels && strstr(description, "<OME")) read_ome(out, pixels);
    else read_tifffile(out, description, plane);
    if (out->channels < 1) out->channels = 1;
    if (out->pixel_nm == 0 && resolution > 0 && unit == TIFF_TEXT_CENTIMETRE)
        out->pixel_nm = 1e7 / resolution;
    if (out->pixel_nm == 0 && resolution > 0 && unit == TIFF_TEXT_INCH)
        out->pixel_nm = 25.4e6 / resolution;
    out->pixel_nm = believable(out->pixel_nm);
    out->spacing_nm = believable(out->spacing_nm);
}

double tiff_text_length(double length, const char *unit)
{
    return believable(length * unit_nm(unit));
}

/* A positive number below 10^9 without trailing zeros. */
static void print_number(char *out, size_t room, double value)
{
    int64_t whole = (int64_t)value;
    int64_t rest = llround((value - (double)whole) * 1e9);
    size_t length;

    if (rest == 1000000000) {
        whole++;
        rest = 0;
    }
    snprintf(out, room, "%lld.%0*lld", (long long)whole, DIGITS_AFTER_POINT, (long long)rest);
    for (length = strlen(out); out[length - 1] == '0' && out[length - 2] != '.'; length--) continue;
    out[length] = 0;
}

/* Adds to the text in `out` (TIFF_TEXT_ROOM bytes). */
__attribute__((format(printf, 2, 3))) static void append(char *out, const char *format, ...)
{
    size_t length = strlen(out);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(out + length, TIFF_TEXT_ROOM - length, format, arguments);
    va_end(arguments);
}

void tiff_text_write(char *out, const cem_tiff_info *info, int32_t labels)
{
    char value[WORD_ROOM];

    out[0] = 0;
    append(out, "ImageJ=1.54p\n");
    if (info->pages > 1)
        append(out, "images=%lld\nslices=%lld\n", (long long)info->pages, (long long)info->pages);
    if (info->pixel_nm > 0) append(out, "unit=nm\n");
    if (info->pixel_nm > 0 && info->spacing_nm > 0) {
        print_number(value, sizeof value, info->spacing_nm);
        append(out, "spacing=%s\n", value);
    }
    append(out, "loop=false\n");
    if (labels > 0) append(out, "min=0.0\nmax=%d.0\n", labels);
}
