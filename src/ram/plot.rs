//! Coverage of all samples over a region as a picture: SVG, PNG, or text for a terminal.

use std::fmt::Write as _;

use super::depths::{Format, Options, Stretch, stretches};
use super::png::{ADVANCE, Canvas, Ink};
use super::read::{QueryStats, Reader};
use crate::error::{Error, Result};

/// Bars of a sample in a drawing, each one unit wide.
const BARS: u64 = 800;
/// Room for names in a drawing.
const MARGIN: u64 = 140;
/// Room for the title in a drawing.
const TITLE: u64 = 28;

/// Mean depths of a region, of each sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    title: String,
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
                    *sum += stretch.mean * (until - at) as f64;
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
        let title = format!("{name}:{}-{end}", region.interval.start() + 1);
        Ok((Self { title, names, means: sums }, stats))
    }

    /// The greatest mean.
    fn top(&self) -> f64 {
        self.means.iter().flatten().fold(0.0, |top: f64, &mean| top.max(mean))
    }

    /// Units of a sample's row in a drawing.
    fn row_height(&self) -> u64 {
        if self.names.len() <= 50 { 24 } else { 9 }
    }

    /// A drawing of a row for each sample; all rows have one scale.
    pub fn to_svg(&self) -> String {
        let height = self.row_height();
        let (top, width) = (self.top().max(1.0), MARGIN + BARS);
        let total = TITLE + height * self.names.len() as u64 + 6;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {total}\" \
             font-family=\"sans-serif\" font-size=\"{}\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
             <text x=\"{MARGIN}\" y=\"18\" font-size=\"13\">{}: mean depth, 0 to {top:.1}</text>\n",
            height.min(16) - 4,
            escaped(&self.title),
        );
        for (row, (name, means)) in (0..).zip(self.names.iter().zip(&self.means)) {
            let base = TITLE + (row + 1) * height;
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
                MARGIN - 6,
                base - height / 4,
                escaped(name)
            );
            let mut path = format!("M{MARGIN} {base}");
            let step = BARS as f64 / means.len().max(1) as f64;
            for (bar, mean) in means.iter().enumerate() {
                let y = base as f64 - mean / top * (height - 2) as f64;
                let x = MARGIN as f64 + step * bar as f64;
                let _ = write!(path, "L{x:.1} {y:.1}L{:.1} {y:.1}", x + step);
            }
            let _ = writeln!(svg, "<path d=\"{path}L{width} {base}Z\" fill=\"#31688e\"/>");
        }
        svg + "</svg>\n"
    }

    /// The same drawing as points; of long names, the end.
    ///
    /// # Errors
    ///
    /// [`Usage`](crate::error::ErrorKind::Usage) for more samples than a picture has room for.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        let (height, top) = (self.row_height(), self.top().max(1.0));
        let mut canvas = Canvas::new(MARGIN + BARS, TITLE + height * self.names.len() as u64 + 6)?;
        canvas.text(MARGIN, 10, &format!("{}: mean depth, 0 to {top:.1}", self.title));
        let most = ((MARGIN - 6) / ADVANCE) as usize;
        for (row, (name, means)) in (0..).zip(self.names.iter().zip(&self.means)) {
            let base = TITLE + (row + 1) * height;
            let length = name.chars().count();
            let shown: String = name.chars().skip(length.saturating_sub(most)).collect();
            let width = ADVANCE * length.min(most) as u64;
            canvas.text(MARGIN - 6 - width, base - height.midpoint(7), &shown);
            let bars = means.len().max(1) as u64;
            for (bar, mean) in (0..).zip(means) {
                let tall = (mean / top * (height - 2) as f64).round() as u64;
                let (from, to) = (bar * BARS / bars, (bar + 1) * BARS / bars);
                canvas.fill(MARGIN + from, base - tall, to - from, tall, Ink::Bar);
            }
        }
        canvas.encode()
    }

    /// Lines of block characters, a sample each.
    pub fn to_text(&self) -> String {
        const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let top = self.top().max(1.0);
        let widest = self.names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let mut text = format!("{}: mean depth, 0 to {top:.1}\n", self.title);
        for (name, means) in self.names.iter().zip(&self.means) {
            let _ = write!(text, "{name:widest$} ");
            text.extend(means.iter().map(|mean| {
                let eighths = (mean / top * 8.0).ceil() as usize;
                BLOCKS[eighths.min(8)]
            }));
            text.push('\n');
        }
        text
    }

    /// How many bars suit a drawing.
    pub fn drawn_bars() -> u64 {
        BARS
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_picture_is_drawn_to_one_scale() {
        let picture = Picture {
            title: "1:1-4".into(),
            names: vec!["a<b".into(), "c".into()],
            means: vec![vec![0.0, 8.0], vec![4.0, 1.0]],
        };
        assert_eq!(picture.to_text(), "1:1-4: mean depth, 0 to 8.0\na<b  █\nc   ▄▁\n");
        let svg = picture.to_svg();
        assert!(svg.contains("a&lt;b") && svg.matches("<path").count() == 2, "{svg}");
        let png = picture.to_png().unwrap();
        assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
        assert_eq!(png[16..24], [0, 0, 3, 0xac, 0, 0, 0, 82], "940 by 28 + 2 * 24 + 6");
    }
}
