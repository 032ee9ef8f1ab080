"""Standard value sets: which fields share one, and which small system object mirrors it."""

from __future__ import annotations

STANDARD_VALUE_SETS: dict[str, tuple[tuple[str, str], ...]] = {
    "AccountOwnership": (("Account", "Ownership"),),
    "AccountRating": (("Account", "Rating"), ("Lead", "Rating")),
    "AccountType": (("Account", "Type"),),
    "AssetStatus": (("Asset", "Status"),),
    "CampaignMemberStatus": (("CampaignMember", "Status"),),
    "CampaignStatus": (("Campaign", "Status"),),
    "CampaignType": (("Campaign", "Type"),),
    "CaseOrigin": (("Case", "Origin"),),
    "CasePriority": (("Case", "Priority"),),
    "CaseReason": (("Case", "Reason"),),
    "CaseStatus": (("Case", "Status"),),
    "CaseType": (("Case", "Type"),),
    "ContactRole": (
        ("OpportunityContactRole", "Role"),
        ("AccountContactRole", "Role"),
        ("AccountContactRelation", "Roles"),
        ("ContractContactRole", "Role"),
    ),
    "ContractStatus": (("Contract", "Status"),),
    "EventSubject": (("Event", "Subject"),),
    "EventType": (("Event", "Type"),),
    "Industry": (("Account", "Industry"), ("Lead", "Industry")),
    "LeadSource": (("Lead", "LeadSource"), ("Contact", "LeadSource"), ("Opportunity", "LeadSource")),
    "LeadStatus": (("Lead", "Status"),),
    "OpportunityStage": (("Opportunity", "StageName"),),
    "OpportunityType": (("Opportunity", "Type"),),
    "OrderStatus": (("Order", "Status"),),
    "OrderType": (("Order", "Type"),),
    "PartnerRole": (("Partner", "Role"),),
    "Product2Family": (("Product2", "Family"),),
    "QuoteStatus": (("Quote", "Status"),),
    "SalesTeamRole": (("OpportunityTeamMember", "TeamMemberRole"), ("AccountTeamMember", "TeamMemberRole")),
    "Salutation": (("Lead", "Salutation"), ("Contact", "Salutation")),
    "TaskPriority": (("Task", "Priority"),),
    "TaskStatus": (("Task", "Status"),),
    "TaskSubject": (("Task", "Subject"),),
    "TaskType": (("Task", "Type"),),
}
"""Name of the set → the fields that show it (names from the Metadata API's StandardValueSet; list unverified)."""

MIRRORS = (
    "OpportunityStage",
    "LeadStatus",
    "CaseStatus",
    "TaskStatus",
    "TaskPriority",
    "ContractStatus",
    "OrderStatus",
    "PartnerRole",
)
"""Sets whose values are also rows of an object of the same name."""

FORECAST_LABELS = {
    "Omitted": "Omitted",
    "Pipeline": "Pipeline",
    "BestCase": "Best Case",
    "MostLikely": "Most Likely",
    "Forecast": "Commit",
    "Closed": "Closed",
}
"""Forecast category → its default label (`ForecastCategoryName`)."""
