//! `naq spool ls` and `verify`: folders, and whether they are whole.

use naq_events::spool::SpoolFolder;
use serde::Serialize;

use super::name;
use crate::commands::{Context, Outcome};
use crate::exit::Exit;
use crate::output::{Grid, Tone, View, human};

/// A folder as JSON.
#[derive(Debug, Serialize)]
struct Folder {
    folder: String,
    owned: bool,
    events: u64,
    in_doubt: u64,
    bytes: u64,
    segments: u64,
    quarantined: u64,
    quarantined_bytes: u64,
}

/// What a check found, as JSON.
#[derive(Debug, Serialize)]
struct Checked {
    folder: String,
    owned: bool,
    intact: u64,
    corrupt: u64,
    torn: u64,
    lost_marks: u64,
}

/// Lists the folders.
pub(super) fn list(context: &mut Context, folders: &[SpoolFolder]) -> Outcome {
    let shapes: Vec<Folder> = folders
        .iter()
        .map(|folder| Folder {
            folder: name(folder),
            owned: folder.is_owned,
            events: folder.events,
            in_doubt: folder.in_doubt,
            bytes: folder.bytes,
            segments: folder.segments,
            quarantined: folder.quarantined,
            quarantined_bytes: folder.quarantined_bytes,
        })
        .collect();
    context.output.list(&shapes, table)?;
    Ok(Exit::Done)
}

fn table(folders: &[Folder], view: &View) -> String {
    let headings = ["Folder", "Owner", "Events", "In doubt", "Size", "Set aside"];
    let mut grid = Grid::new(view, &headings).right(&[2, 3, 4, 5]);
    for folder in folders {
        let (owner, tone) = match (folder.owned, folder.events) {
            (true, _) => ("a program", Tone::Plain),
            (false, 0) => ("nobody", Tone::Plain),
            (false, _) => ("nobody", Tone::Warn),
        };
        let damage = if folder.quarantined > 0 { Tone::Bad } else { Tone::Plain };
        grid.toned([
            (folder.folder.as_str(), Tone::Plain),
            (owner, tone),
            (&human::count(folder.events), Tone::Plain),
            (&human::count(folder.in_doubt), Tone::Plain),
            (&human::size(folder.bytes), Tone::Plain),
            (&human::count(folder.quarantined), damage),
        ]);
    }
    if grid.is_empty() { "no folders\n".to_owned() } else { grid.text() }
}

/// Reads and checks all of them.
pub(super) fn verify(context: &mut Context, folders: &[SpoolFolder]) -> Outcome {
    let mut checked = Vec::with_capacity(folders.len());
    for folder in folders {
        let report = folder.verify()?;
        checked.push(Checked {
            folder: name(folder),
            owned: folder.is_owned,
            intact: report.intact,
            corrupt: report.corrupt,
            torn: report.torn,
            lost_marks: report.lost_marks,
        });
    }
    context.output.list(&checked, |checked, view| {
        let headings = ["Folder", "Intact", "Damaged", "Torn ends", "Lost marks"];
        let mut grid = Grid::new(view, &headings).right(&[1, 2, 3, 4]);
        for folder in checked {
            let tone = |bad: u64| if bad > 0 { Tone::Bad } else { Tone::Plain };
            grid.toned([
                (folder.folder.as_str(), Tone::Plain),
                (&human::count(folder.intact), Tone::Plain),
                (&human::count(folder.corrupt), tone(folder.corrupt)),
                (&human::count(folder.torn), Tone::Plain),
                (&human::count(folder.lost_marks), tone(folder.lost_marks)),
            ]);
        }
        if grid.is_empty() { "no folders\n".to_owned() } else { grid.text() }
    })?;
    let is_damaged = checked.iter().any(|folder| folder.corrupt + folder.lost_marks > 0);
    Ok(if is_damaged { Exit::Failed } else { Exit::Done })
}
