//! What the page can ask for. Each command forwards to slipwayd or the Engine API and turns the
//! answer into a view.

pub(crate) mod containers;
pub(crate) mod images;
pub(crate) mod logs;
pub(crate) mod machine;
pub(crate) mod removals;
pub(crate) mod shell;

use std::sync::Arc;

use crate::desk::Desk;
use crate::view::Problem;

type Answer<T> = Result<T, Problem>;
type State<'a> = tauri::State<'a, Arc<Desk>>;
