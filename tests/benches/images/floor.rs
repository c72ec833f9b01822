//! The least that a pull can take here: all gunzip work on all processors, the slowest layer's
//! gunzip, and writing the files to the disk, whichever is most.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use flate2::bufread::GzDecoder;

use crate::sample::Sample;
use tests::figure::time;

/// Written at once.
const PIECE: usize = 1 << 20;

/// Measures it, in milliseconds.
pub(crate) fn measure(sample: &Sample, scratch: &Path) -> f64 {
    let layers: Vec<f64> = sample
        .layers
        .iter()
        .map(|layer| gunzip(&layer.blob))
        .collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let all = layers.iter().sum::<f64>() / cores as f64;
    let slowest = layers.iter().copied().fold(0.0, f64::max);
    let disk = write(sample.unpacked, scratch);
    println!("floor: gunzip/cores {all:.0}ms, slowest layer {slowest:.0}ms, disk {disk:.0}ms");
    all.max(slowest).max(disk)
}

fn gunzip(blob: &[u8]) -> f64 {
    let mut buffer = vec![0; PIECE];
    time(|| {
        let mut decoder = GzDecoder::new(blob);
        while decoder.read(&mut buffer).expect("gzip") > 0 {}
    })
}

fn write(bytes: u64, scratch: &Path) -> f64 {
    let path = scratch.join("floor");
    let piece = vec![0x5a; PIECE];
    let took = time(|| {
        let mut file = File::create(&path).expect("a file");
        let mut left = bytes;
        while left > 0 {
            let count = left.min(PIECE as u64) as usize;
            file.write_all(&piece[..count]).expect("the disk");
            left -= count as u64;
        }
        io::Write::flush(&mut file).expect("the disk");
        file.sync_all().expect("the disk");
    });
    std::fs::remove_file(&path).expect("the file");
    took
}
