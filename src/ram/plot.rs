//! Coverage of all samples over a region as a picture: SVG, PNG, or text for a terminal.

use std::fmt::Write as _;

use super::depths::{Format, Options, Stretch, stretches};
use super::png::{ADVANCE, Canvas, HEIGHT, Ink};
use super::read::{QueryStats, Reader};
use crate::error::{Error, Result};

/// Bars of a sample in a drawing, each one unit wide.
const BARS: u64 = 800;
/// Room for names and the scale in a drawing, and for the scale alone.
const MARGIN: u64 = 190;
const SCALE: u64 = 46;
/// Room at the right.
const EDGE: u64 = 16;
/// Room for the title and for the axis of positions in a drawing.
const TITLE: u64 = 32;
const AXIS: u64 = 26;
/// Most steps of that axis.
const MOST_TICKS: u64 = 7;

/// Mean depths of a region, of each sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    contig: String,
    /// The region, 1-based and closed.
    start: u64,
    end: u64,
    /// Bases of a bar; the last one may have fewer.
    window: u64,
    names: Vec<String>,
    means: Vec<Vec<f64>>,
}

impl Picture {
    /// Reads the coverage that `reader` was opened for, one region, in `bars` windows or fewer.
    ///
    /// # Errors
    ///
    /// [`Usage`](crate::error::ErrorKind::Usage) unless it is one region; as
    /// [`super::depths::stretches`].
    pub fn read(reader: &Reader, bars: u64, threads: usize) -> Result<(Self, QueryStats)> {
        let Some(region) = reader.only_span() else {
            return Err(Error::usage("a plot shows one region")
                .help("name it as in: format-tools plot cohort.ram chr1:1M-2M"));
        };
        let length = reader.contigs().get(region.contig).map_or(0, |contig| contig.length);
        let end = region.interval.end().min(length);
        let bases = end.saturating_sub(region.interval.start()).max(1);
        let window = bases.div_ceil(bars.max(1));
        let names: Vec<String> = reader.samples().iter().map(|&name| name.to_owned()).collect();
        let count = usize::try_from(bases.div_ceil(window)).unwrap_or(0);
        let mut sums = vec![vec![0.0; count]; names.len()];
        // Windows are counted from the region's start, so depths of stretches are summed up here.
        let options = Options { format: Format::Bed, window: None, summed: false };
        let stats = stretches(reader, &options, threads, None, |stretch: Stretch| {
            let Some(sums) = stretch.sample.and_then(|at| sums.get_mut(at)) else { return Ok(()) };
            let mut at = stretch.interval.start() - region.interval.start();
            let stop = stretch.interval.end() - region.interval.start();
            while at < stop {
                let bar = at / window;
                let until = ((bar + 1) * window).min(stop);
                if let Some(sum) = sums.get_mut(bar as usize) {
                    *sum += stretch.mean() * (until - at) as f64;
                }
                at = until;
            }
            Ok(())
        })?;
        for sums in &mut sums {
            for (bar, sum) in (0_u64..).zip(sums.iter_mut()) {
                *sum /= window.min(bases - bar * window) as f64;
            }
        }
        let name = reader.contigs().get(region.contig).map_or("*", |contig| contig.name.as_str());
        let (contig, start) = (name.to_owned(), region.interval.start() + 1);
        Ok((Self { contig, start, end, window, names, means: sums }, stats))
    }

    /// The greatest mean.
    fn top(&self) -> f64 {
        self.means.iter().flatten().fold(0.0, |top: f64, &mean| top.max(mean))
    }

    /// What is shown, and how: the first line of a picture.
    fn title(&self, top: f64) -> String {
        let bases = match self.window {
            1 => "each base".to_owned(),
            window => format!("windows of {} bases", grouped(window)),
        };
        format!(
            "{}:{}-{}  mean depth in reads, of {bases}, each row from 0 to {top:.1}",
            self.contig,
            grouped(self.start),
            grouped(self.end)
        )
    }

    /// Said where there is nothing to draw.
    fn remark(&self) -> Option<&'static str> {
        let is_empty = self.means.iter().flatten().all(|mean| *mean == 0.0);
        is_empty.then_some("no read counts here, in any of the samples")
    }

    /// A drawing of a row for each sample, all of one scale, above an axis of positions.
    fn marks(&self) -> (u64, Vec<Mark>) {
        let tall = match self.names.len() {
            0..=4 => 72,
            5..=16 => 44,
            17..=50 => 24,
            _ => 11,
        };
        let top = self.top().max(1.0);
        let rows_end = TITLE + tall * self.names.len() as u64;
        let mut marks = vec![Mark::text(8, 19, Side::Right, self.title(top))];
        for position in ticks(self.start, self.end) {
            let x = MARGIN + (position - self.start) * BARS / (self.end + 1 - self.start).max(1);
            marks.push(Mark::Fill {
                x,
                y: TITLE,
                width: 1,
                height: rows_end - TITLE + 5,
                ink: Ink::Line,
            });
            let side = match x {
                x if x < MARGIN + 50 => Side::Right,
                x if x > MARGIN + BARS - 50 => Side::Left,
                _ => Side::Both,
            };
            marks.push(Mark::text(x, rows_end + 16, side, grouped(position)));
        }
        for (row, (name, means)) in (1..).zip(self.names.iter().zip(&self.means)) {
            let base = TITLE + row * tall;
            let middle = base - (tall - HEIGHT.min(tall)) / 2;
            marks.push(Mark::text(MARGIN - SCALE - 4, middle, Side::Left, name.clone()));
            if tall >= 40 {
                marks.push(Mark::text(MARGIN - 5, base, Side::Left, "0".to_owned()));
                let y = base - tall + HEIGHT + 4;
                marks.push(Mark::text(MARGIN - 5, y, Side::Left, format!("{top:.1}")));
            }
            marks.push(Mark::Bars {
                base,
                heights: means.iter().map(|mean| mean / top * (tall - 4) as f64).collect(),
            });
            marks.push(Mark::Fill { x: MARGIN, y: base, width: BARS, height: 1, ink: Ink::Line });
        }
        if let Some(remark) = self.remark() {
            let middle = (TITLE + rows_end + HEIGHT) / 2;
            marks.push(Mark::text(MARGIN + BARS / 2, middle, Side::Both, remark.to_owned()));
        }
        (rows_end + AXIS, marks)
    }

    /// A drawing to look at at any size.
    pub fn to_svg(&self) -> String {
        let (height, marks) = self.marks();
        let width = MARGIN + BARS + EDGE;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"10\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        );
        for mark in marks {
            let _ = match mark {
                Mark::Fill { x, y, width, height, ink } => writeln!(
                    svg,
                    "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{}\"/>",
                    ink.name()
                ),
                Mark::Text { x, y, side, text } => {
                    let anchor = match side {
                        Side::Right => "start",
                        Side::Both => "middle",
                        Side::Left => "end",
                    };
                    let (fill, text) = (Ink::Letter.name(), escaped(&text));
                    writeln!(
                        svg,
                        "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" fill=\"{fill}\">{text}</text>"
                    )
                }
                Mark::Bars { base, heights } => {
                    let mut path = format!("M{MARGIN} {base}");
                    let step = BARS as f64 / heights.len().max(1) as f64;
                    for (bar, tall) in heights.iter().enumerate() {
                        let (x, y) = (MARGIN as f64 + step * bar as f64, base as f64 - tall);
                        let _ = write!(path, "L{x:.1} {y:.1}L{:.1} {y:.1}", x + step);
                    }
                    let (end, fill) = (MARGIN + BARS, Ink::Bar.name());
                    writeln!(svg, "<path d=\"{path}L{end} {base}Z\" fill=\"{fill}\"/>")
                }
            };
        }
        svg + "</svg>\n"
    }

    /// The same drawing as points; of long names, the end.
    ///
    /// # Errors
    ///
    /// [`Usage`](crate::error::ErrorKind::Usage) for more samples than a picture has room for.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        let (height, marks) = self.marks();
        let mut canvas = Canvas::new(MARGIN + BARS + EDGE, height)?;
        for mark in marks {
            match mark {
                Mark::Fill { x, y, width, height, ink } => canvas.fill(x, y, width, height, ink),
                Mark::Text { x, y, side, text } => {
                    let length = text.chars().count();
                    let most = if side == Side::Left { (x / ADVANCE) as usize } else { length };
                    let shown: String = text.chars().skip(length.saturating_sub(most)).collect();
                    let width = ADVANCE * length.min(most) as u64;
                    let before = match side {
                        Side::Right => 0,
                        Side::Both => width / 2,
                        Side::Left => width,
                    };
                    canvas.text(x.saturating_sub(before), y.saturating_sub(HEIGHT), &shown);
                }
                Mark::Bars { base, heights } => {
                    let bars = heights.len().max(1) as u64;
                    for (bar, tall) in (0..).zip(heights) {
                        let (from, to) = (bar * BARS / bars, (bar + 1) * BARS / bars);
                        canvas.bar(MARGIN + from, base, to - from, tall);
                    }
                }
            }
        }
        canvas.encode()
    }

    /// Lines of block characters, a sample each, above an axis of positions.
    pub fn to_text(&self) -> String {
        const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let top = self.top().max(1.0);
        let widest = self.names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let bars = self.means.first().map_or(0, Vec::len);
        let mut text = self.title(top) + "\n";
        for (name, means) in self.names.iter().zip(&self.means) {
            let blocks: String = means
                .iter()
                .map(|mean| BLOCKS[((mean / top * 8.0).ceil() as usize).min(8)])
                .collect();
            let _ = writeln!(text, "{name:widest$} |{blocks}|");
        }
        let (start, end) = (grouped(self.start), grouped(self.end));
        let room = (bars + 2).saturating_sub(start.len());
        let _ = writeln!(text, "{:widest$} {start}{end:>room$}", "");
        if let Some(remark) = self.remark() {
            let _ = writeln!(text, "{remark}");
        }
        text
    }

    /// How many bars suit a drawing.
    pub fn drawn_bars() -> u64 {
        BARS
    }
}

/// A part of a drawing.
enum Mark {
    Fill {
        x: u64,
        y: u64,
        width: u64,
        height: u64,
        ink: Ink,
    },
    /// Text on a line, on this side of a point.
    Text {
        x: u64,
        y: u64,
        side: Side,
        text: String,
    },
    /// Bars side by side, from the margin on, that stand on a line.
    Bars {
        base: u64,
        heights: Vec<f64>,
    },
}

impl Mark {
    fn text(x: u64, y: u64, side: Side, text: String) -> Self {
        Self::Text { x, y, side, text }
    }
}

/// Where text lies as seen from its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Left,
    Both,
    Right,
}

/// Round positions of a region, about as many as have room under a drawing.
fn ticks(start: u64, end: u64) -> Vec<u64> {
    let mut step = 1_u64;
    for factor in [2, 5, 10].into_iter().cycle() {
        if (end - start.min(end)) / step <= MOST_TICKS {
            break;
        }
        let decade = 10_u64.pow(step.ilog10());
        step = decade.saturating_mul(factor);
    }
    (start.div_ceil(step)..=end / step).map(|tick| tick * step).collect()
}

/// A number with commas between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(means: [Vec<f64>; 2]) -> Picture {
        Picture {
            contig: "1".into(),
            start: 9_999,
            end: 10_012,
            window: 7,
            names: vec!["a<b".into(), "c".into()],
            means: means.into(),
        }
    }

    #[test]
    fn test_picture_is_drawn_to_one_scale() {
        let picture = picture([vec![0.0, 8.0], vec![4.0, 1.0]]);
        let text = picture.to_text();
        let (title, rows) = text.split_once('\n').unwrap();
        assert_eq!(
            title,
            "1:9,999-10,012  mean depth in reads, of windows of 7 bases, each row from 0 to 8.0"
        );
        assert_eq!(rows, "a<b | █|\nc   |▄▁|\n    9,99910,012\n");
        let svg = picture.to_svg();
        assert!(svg.contains("a&lt;b") && svg.matches("<path").count() == 2, "{svg}");
        assert!(svg.contains(">10,004<") && svg.contains(">8.0<"), "an axis of both kinds: {svg}");
        let png = picture.to_png().unwrap();
        assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
        let width = u32::try_from(2 * (MARGIN + BARS + EDGE)).unwrap();
        assert_eq!(png[16..20], width.to_be_bytes());
    }

    #[test]
    fn test_picture_says_that_there_are_no_reads() {
        let picture = picture([vec![0.0, 0.0], vec![0.0, 0.0]]);
        for drawn in [picture.to_text(), picture.to_svg()] {
            assert!(drawn.contains("no read counts here"), "{drawn}");
        }
    }

    #[test]
    fn test_ticks_are_round_and_few() {
        assert_eq!(ticks(1, 1_000), [200, 400, 600, 800, 1_000]);
        assert_eq!(ticks(100_990_000, 101_120_000).len(), 7);
        assert_eq!(ticks(5, 5), [5]);
        assert_eq!(ticks(123_456_789, 123_456_790), [123_456_789, 123_456_790]);
        for length in 1..3_000 {
            assert!((1..=MOST_TICKS as usize + 1).contains(&ticks(77, 77 + length).len()));
        }
    }
}
