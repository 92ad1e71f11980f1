//! What the commands read from the controllers, besides jobs.

use proto::ctl::{NodesReply, NodesRequest};
use trust::controllers::Target;

use crate::{
    client::{self, Client, Controller},
    trouble::Trouble,
};

pub(crate) async fn nodes(client: &Client, stale_ok: bool) -> Result<NodesReply, Trouble> {
    let attempt = |mut controller: Controller| async move {
        let reply = controller.nodes(client::request(NodesRequest { stale_ok })).await?;
        Ok(reply.into_inner())
    };
    client.call(Target::Any, attempt).await
}
