//! Several processes, and what one of them leaves to the others.

use naq_core::ErrorKind;
use naq_events::spool::{Spool, SpoolOptions, spool_folders};

use crate::{entries, numbers};

#[tokio::test]
async fn a_second_owner_gets_a_folder_of_its_own_and_what_it_leaves_is_taken_over() {
    let root = tempfile::tempdir().unwrap();
    let open = || Spool::open(root.path(), SpoolOptions::default());
    let (first, _) = open().await.unwrap();
    let (second, recovered) = open().await.unwrap();
    assert!(recovered.folder.ends_with("2"));
    first.append(entries(1..=2)).await.unwrap();
    second.append(entries(3..=5)).await.unwrap();
    let folders = spool_folders(root.path()).unwrap();
    let seen: Vec<_> = folders.iter().map(|folder| (folder.events, folder.is_owned)).collect();
    assert_eq!(seen, [(2, true), (3, true)]);
    let error = Spool::open_folder(&folders[1].path, SpoolOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);

    second.close().await.unwrap();
    let (third, recovered) = open().await.unwrap();
    assert_eq!((recovered.folder, recovered.events), (folders[1].path.clone(), 3));
    assert_eq!(numbers(&third).await, [3, 4, 5]);
}

#[tokio::test]
async fn a_spool_is_looked_at_while_its_owner_writes() {
    let root = tempfile::tempdir().unwrap();
    let (spool, _) = Spool::open(root.path(), SpoolOptions::default()).await.unwrap();
    spool.append(entries(1..=3)).await.unwrap();
    let folder = spool_folders(root.path()).unwrap().remove(0);
    let report = folder.verify().unwrap();
    assert_eq!((report.intact, report.corrupt, report.torn), (3, 0, 0));
    spool.append(entries(4..=4)).await.unwrap();
    assert_eq!(folder.walk().unwrap().count(), 4);
}

#[test]
fn where_there_is_no_spool_there_are_no_folders() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(spool_folders(root.path().join("none")).unwrap(), []);
}
