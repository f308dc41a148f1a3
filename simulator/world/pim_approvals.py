"""PIM for Groups, approval of activations. An approval's id, and its one stage's, is the request's id."""

from datetime import timedelta

from simulator.world.errors import WorldError, bad_request, forbidden, not_found
from simulator.world.pim_reads import PimReads
from simulator.world.pim_rules import Caller
from simulator.world.state import Approval, ApprovalStage, Policy, ScheduleRequest, User

PENDING = "PendingApproval"
STAGE_LASTS = timedelta(days=1)


class PimApprovals(PimReads):
    """What approvers see and decide."""

    def begin_approved(self, request: ScheduleRequest) -> None:
        """Put the approved assignment in place."""
        raise NotImplementedError

    def open_approval(self, request: ScheduleRequest, policy: Policy) -> None:
        """For PIM itself: the request waits for one of the policy's approvers, never for its own person."""
        request.approval_id = request.id
        approvers = list(policy.approver_users)
        for each in policy.approver_groups:
            approvers += [m.id for m in self._world.directory.transitive_members(each) if isinstance(m, User)]
        self._world.state.approvals[request.id] = Approval(
            id=request.id,
            stages=[ApprovalStage(id=request.id)],
            approver_ids=[each for each in dict.fromkeys(approvers) if each != request.principal_id],
        )
        self._world.schedule(self._world.now() + STAGE_LASTS, "pim.lapse", request_id=request.id)

    def approval(self, approval_id: str) -> Approval:
        """One approval. Raises WorldError 404."""
        found = self._world.state.approvals.get(approval_id)
        if found is None:
            raise not_found(approval_id, "ResourceNotFound")
        return found

    def requests_to_decide(self, user_id: str) -> list[ScheduleRequest]:
        """Requests that this person may decide, decided ones included, newest first."""
        rows = self._list_requests("assignment", None, None)
        return [
            row for row in rows if row.approval_id and user_id in self.approval(row.approval_id).approver_ids
        ]

    def may_see_approval(self, approval_id: str, user_id: str) -> bool:
        """Whether this person decides on it, or asked for it. Raises WorldError 404."""
        approval = self.approval(approval_id)
        return user_id in (*approval.approver_ids, self._world.state.requests[approval_id].principal_id)

    def decide(
        self, approval_id: str, stage_id: str, caller: Caller, result: str, justification: str
    ) -> None:
        """Approve or deny a stage. Raises WorldError 403, 404, and 409 when somebody decided it before."""
        approval = self.approval(approval_id)
        stage = next((each for each in approval.stages if each.id == stage_id), None)
        if stage is None:
            raise not_found(stage_id, "ResourceNotFound")
        if caller.user_id is None or caller.user_id not in approval.approver_ids:
            raise forbidden("The caller is no approver of this request.")
        if stage.status != "InProgress":
            raise WorldError(409, "Conflict", "The stage was decided by another approver.")
        if result not in ("Approve", "Deny"):
            raise bad_request("InvalidReviewResult", "reviewResult is Approve or Deny.")
        stage.status, stage.review_result, stage.justification = "Completed", result, justification
        stage.reviewed_by, stage.reviewed_at = caller.user_id, self._world.now()
        request = self._world.state.requests[approval_id]
        request.completed_at = self._world.now()
        if result == "Deny":
            request.status = "Denied"
        else:
            self.begin_approved(request)

    def close_approval(self, request: ScheduleRequest, status: str) -> None:
        """For PIM itself: the request doesn't wait any more, and nobody decided."""
        if request.approval_id is not None:
            for stage in self.approval(request.approval_id).stages:
                if stage.status == "InProgress":
                    stage.status = status

    def on_lapse(self, request_id: str) -> None:
        """Due: nobody decided within the stage's time."""
        request = self._world.state.requests[request_id]
        if request.status == PENDING:
            request.status, request.completed_at = "Failed", self._world.now()
            self.close_approval(request, "Expired")
