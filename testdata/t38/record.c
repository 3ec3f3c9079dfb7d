/* Records a fax between two T.38 terminals of spandsp, with redundancy of three:
 * cc -o record record.c -lspandsp -ltiff -lm && ./record > two-pages.txt
 * (Debian: libspandsp-dev, libtiff-dev). A line is milliseconds, who sends, the UDPTL packet. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <tiffio.h>
#include <spandsp.h>

enum { rows = 110, redundancy = 3, delay = 40, step = 20 };

typedef struct {
	t38_terminal_state_t *peer;
	char name;
	uint8_t past[redundancy][256];
	int length[redundancy], sent;
} side_t;

typedef struct {
	int at, length, seq;
	t38_terminal_state_t *to;
	uint8_t ifp[256];
} flight_t;

static flight_t wire[65536];
static int first, last, now, over;

/* say writes one packet down and puts it on the wire (T.38 9.1). */
static int say(t38_core_state_t *core, void *user, const uint8_t *ifp, int length, int copies)
{
	side_t *s = user;
	(void)core;
	while (copies-- > 0) {
		printf("%d %c %04x%02x", now, s->name, s->sent & 0xffff, length);
		for (int i = 0; i < length; i++)
			printf("%02x", ifp[i]);
		int n = s->sent < redundancy ? s->sent : redundancy;
		printf("00%02x", n);
		for (int k = 1; k <= n; k++) {
			int slot = (s->sent - k) % redundancy;
			printf("%02x", s->length[slot]);
			for (int i = 0; i < s->length[slot]; i++)
				printf("%02x", s->past[slot][i]);
		}
		printf("\n");
	}
	memcpy(s->past[s->sent % redundancy], ifp, length);
	s->length[s->sent % redundancy] = length;
	flight_t *f = &wire[last++];
	*f = (flight_t){.at = now + delay, .length = length, .seq = s->sent & 0xffff, .to = s->peer};
	memcpy(f->ifp, ifp, length);
	s->sent++;
	return 0;
}

static void ended(t30_state_t *t30, void *user, int result)
{
	(void)t30, (void)user;
	fprintf(stderr, "%s\n", t30_completion_code_to_str(result));
	over++;
}

static void draw(const char *name)
{
	TIFF *t = TIFFOpen(name, "w");
	for (int page = 0; page < 2; page++) {
		TIFFSetField(t, TIFFTAG_IMAGEWIDTH, 1728);
		TIFFSetField(t, TIFFTAG_IMAGELENGTH, rows);
		TIFFSetField(t, TIFFTAG_BITSPERSAMPLE, 1);
		TIFFSetField(t, TIFFTAG_SAMPLESPERPIXEL, 1);
		TIFFSetField(t, TIFFTAG_ROWSPERSTRIP, rows);
		TIFFSetField(t, TIFFTAG_COMPRESSION, COMPRESSION_CCITT_T4);
		TIFFSetField(t, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISWHITE);
		TIFFSetField(t, TIFFTAG_FILLORDER, FILLORDER_LSB2MSB);
		TIFFSetField(t, TIFFTAG_XRESOLUTION, 204.0);
		TIFFSetField(t, TIFFTAG_YRESOLUTION, 98.0);
		TIFFSetField(t, TIFFTAG_RESOLUTIONUNIT, RESUNIT_INCH);
		for (int y = 0; y < rows; y++) {
			uint8_t row[216] = {0};
			for (int x = 0; y / 20 % 2 == page && x < 216; x += 9 + y % 5)
				row[x] = 0xf0 ^ (y & 15);
			TIFFWriteScanline(t, row, y, 0);
		}
		TIFFWriteDirectory(t);
	}
	TIFFClose(t);
}

int main(void)
{
	static side_t sides[2] = {{.name = 'a'}, {.name = 'b'}};
	t38_terminal_state_t *ends[2];
	draw("sent.tif");
	for (int i = 0; i < 2; i++) {
		ends[i] = t38_terminal_init(NULL, i == 0, say, &sides[i]);
		t30_state_t *t = t38_terminal_get_t30_state(ends[i]);
		t30_set_supported_modems(t, T30_SUPPORT_V27TER | T30_SUPPORT_V29 | T30_SUPPORT_V17);
		t30_set_ecm_capability(t, true);
		t30_set_supported_compressions(t, T30_SUPPORT_T4_1D_COMPRESSION | T30_SUPPORT_T4_2D_COMPRESSION | T30_SUPPORT_T6_COMPRESSION);
		t30_set_supported_image_sizes(t, T30_SUPPORT_UNLIMITED_LENGTH | T30_SUPPORT_215MM_WIDTH);
		t30_set_supported_resolutions(t, T30_SUPPORT_STANDARD_RESOLUTION | T30_SUPPORT_FINE_RESOLUTION);
		t30_set_phase_e_handler(t, ended, NULL);
	}
	sides[0].peer = ends[1], sides[1].peer = ends[0];
	t30_set_tx_file(t38_terminal_get_t30_state(ends[0]), "sent.tif", -1, -1);
	t30_set_rx_file(t38_terminal_get_t30_state(ends[1]), "received.tif", -1);
	for (; over < 2 && now < 300000; now += step) {
		for (; first < last && wire[first].at <= now; first++)
			t38_core_rx_ifp_packet(t38_terminal_get_t38_core_state(wire[first].to), wire[first].ifp, wire[first].length, wire[first].seq);
		for (int i = 0; i < 2; i++)
			t38_terminal_send_timeout(ends[i], 8 * step);
	}
	return over != 2;
}
