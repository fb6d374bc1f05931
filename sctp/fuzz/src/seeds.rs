//! Between files of seeds, which have an input a line, and folders of inputs, which fuzzers take.
//!
//! `seeds list` names the targets with the longest inputs they want, `seeds unpack FILE FOLDER` writes a file's inputs
//! to a folder, `seeds pack FOLDER` prints the inputs of a folder as lines.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use sctp::fuzz_bridge::{TARGETS, parse_seeds};

fn unpack(file: &Path, folder: &Path) -> std::io::Result<()> {
    let seeds = parse_seeds(&fs::read_to_string(file)?).ok_or(std::io::ErrorKind::InvalidData)?;
    fs::create_dir_all(folder)?;
    for (number, seed) in seeds.iter().enumerate() {
        fs::write(folder.join(format!("seed{number:04}")), seed)?;
    }
    Ok(())
}

fn pack(folder: &Path) -> std::io::Result<()> {
    let mut files = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    files.sort();
    let mut lines = Vec::new();
    for file in files {
        let digits: String = fs::read(file)?.iter().map(|byte| format!("{byte:02x}")).collect();
        lines.push(digits);
    }
    lines.sort();
    lines.dedup();
    lines.iter().filter(|line| !line.is_empty()).for_each(|line| println!("{line}"));
    Ok(())
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["list"] => {
            TARGETS.iter().for_each(|target| println!("{} {}", target.name, target.max_len));
            Ok(())
        }
        ["unpack", file, folder] => unpack(file.as_ref(), folder.as_ref()),
        ["pack", folder] => pack(folder.as_ref()),
        _ => {
            eprintln!("usage: seeds list | seeds unpack FILE FOLDER | seeds pack FOLDER");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("seeds: {error}");
            ExitCode::FAILURE
        }
    }
}
