//! The power cut: what was not made durable is dropped, all or by chance.

use std::{io, mem};

use crate::{change::Pending, figures::Loss, node::Kind, world::World};

impl World {
    /// Lets the power fail: everything that is asked from now on, or is not answered yet, fails until the cut.
    pub(crate) fn fail(&mut self) {
        self.failed = true;
    }

    /// Forgets what is not durable, but for what chance keeps if it is `torn`; then only the backing folder is left.
    pub(crate) fn cut(&mut self, torn: bool) -> io::Result<Loss> {
        self.failed = false;
        let mut loss = Loss::default();
        if torn {
            let kept = self.pending.tear(&mut self.chance);
            loss.kept_changes = kept.len() as u64;
            self.apply(kept).map_err(|errno| io::Error::from_raw_os_error(errno.code()))?;
        }
        loss.lost_changes = self.pending.count() as u64;
        self.pending = Pending::default();
        // In the order of their numbers, so that a seed tears the same pages again.
        for node in mem::take(&mut self.nodes).into_values() {
            let on_disk = node.kept.is_some();
            match node.kind {
                Kind::File(content) if on_disk && torn => loss += content.tear(&mut self.chance)?,
                Kind::File(content) if on_disk || node.place.is_some() => loss += content.unsynced(),
                _ => {}
            }
        }
        self.figures.cuts += 1;
        self.scan()?;
        Ok(loss)
    }
}
